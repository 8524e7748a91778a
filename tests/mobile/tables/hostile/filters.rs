//! Filters and the other options of a list.

use super::*;

fn filters() -> Vec<String> {
    let mut filters: Vec<String> = TEXTS.iter().map(|text| (*text).to_owned()).collect();
    for text in TEXTS {
        let quoted = text.replace('\'', "''");
        filters.push(format!("text eq '{quoted}'"));
        filters.push(format!("text eq '{text}'"));
        filters.push(format!("contains(text,'{quoted}') or text in ('{text}')"));
        filters.push(format!("{text} eq 1"));
        filters.push(format!("n eq {text}"));
        filters.push(format!("cast({text},Edm.String) eq text"));
    }
    filters.extend(
        [
            "n div 0 eq 1",
            "n mod 0 eq 1",
            "n mul 1e308 mul 1e308 gt 0",
            "1e308 mul 1e308 sub 1e308 mul 1e308 eq 0",
            "n add 9223372036854775807 add 9223372036854775807 gt 0",
            "n eq -9223372036854775808",
            "-(-9223372036854775807 sub 2) gt n",
            "n eq 1.7976931348623157e308",
            "n eq 4.9e-324",
            "substring(text,-1) eq 'x'",
            "substring(text,1e300) eq 'x'",
            "substring(text,n,9223372036854775807) eq 'x'",
            "substring(text,1,-5) eq ''",
            "substring(text,n div 0) eq 'x'",
            "indexof(text,'') eq 0",
            "replace(text,'','x') eq 'x'",
            "replace('','','') eq ''",
            "floor(1e300) eq 1e300",
            "round(-0.5) eq 0",
            "year(datetime'0001-01-01T00:00:00Z') eq 1",
            "year(datetime'9999-12-31T23:59:59Z') eq 9999",
            "year(datetime'99999-12-31T23:59:59Z') eq 9999",
            "createdAt gt datetime'-0001-01-01T00:00:00Z'",
            "createdAt gt datetimeoffset'2020-01-01T00:00:00+99:99'",
            "createdAt gt datetime'2020-02-30T00:00:00Z'",
            "version eq 'MQ=='",
            "version in ('MQ==','x',null)",
            "version eq null",
            "version lt updatedAt",
            "deleted",
            "deleted eq createdAt",
            "null",
            "null and b",
            "nothing",
            "not nothing",
            "nothing or b",
            "null in (null)",
            "b eq nothing",
            "b eq not(b)",
            "(n gt 1) eq (b eq true)",
            "(nothing add 1) eq nothing",
            "contains(nothing,'x') eq true",
            "'a' lt 'b'",
            "1.5 mod 1 eq 0.5",
            "1 in (1,2)",
            "n add 1 in (1.5,2)",
            "concat('a','b') lt concat('a','c')",
            "tolower(text) lt concat('a',text)",
            "text eq concat(text,'')",
            "concat(text,'') eq replace(text,'a','b')",
            "null eq null",
            "null lt null",
            "not null",
            "null add 1 eq null",
            "length(null) eq null",
            "in in ('a')",
            "eq eq eq",
            "not eq not",
            "id in (1,2,null,true,1.5,'x',datetime'2020-01-01T00:00:00Z')",
        ]
        .map(str::to_owned),
    );
    filters.extend([
        deep("(", "n", ")", 5_000),
        deep("not ", "b", "", 8_000),
        deep("-", "n", "", 8_000),
        deep("tolower(", "text", ")", 3_000),
        deep("concat(text,", "text", ")", 60) + " eq 'x'",
        deep("replace(", "text", ",'a','aa')", 60) + " eq 'x'",
        deep("year(", "createdAt", ")", 60) + " eq 1",
        format!("n eq 1{}", " add 1".repeat(5_000)),
        format!("b{}", " and b".repeat(5_000)),
        format!("n in ({})", vec!["1"; 3_000].join(",")),
        format!("n in ({})", vec!["1"; 1_900].join(",")),
        format!("text eq '{}'", "'".repeat(30_001)),
        format!("text eq '{}'", "x".repeat(100_000)),
        "x".repeat(40_000),
        " ".repeat(30_000),
        "(".repeat(30_000),
        "'".repeat(30_000),
        format!("{} eq 1", "c".repeat(300)),
    ]);
    filters
}

#[tokio::test]
async fn hostile_filters_and_options_are_refused_or_find_nothing() {
    on_both(async |world: World| {
        let client = &world.client;
        post(client, "todoitem", json!({"id": "a", "text": "x", "n": 1, "b": true})).await;
        let filters = filters();
        let mut options: Vec<(&str, &str)> = filters.iter().map(|filter| ("$filter", filter.as_str())).collect();
        let names = [
            "$orderby",
            "$select",
            "$top",
            "$skip",
            "$inlinecount",
            "$count",
            "__includeDeleted",
            "__after",
            "$expand",
            "x",
        ];
        options.extend(names.iter().flat_map(|name| TEXTS.iter().map(move |text| (*name, *text))));
        let (keys, long) = (vec!["text"; 100].join(","), "x".repeat(50_000));
        // Cursors: not ours, of the wrong kind, of numbers that no clock reaches, of an id that is none.
        let cursors = [
            "s::1:2",
            "s::-9223372036854775808:9223372036854775807",
            "s:18446744073709551616:1:2",
            "s:::",
            "i::",
            "i::a\0b",
            "i:5:é",
            "t::1",
        ];
        let cursors = cursors.map(|text| base64(text.as_bytes()));
        options.extend(cursors.iter().map(|cursor| ("__after", cursor.as_str())));
        options.extend([
            ("$top", "9223372036854775807"),
            ("$top", "9223372036854775808"),
            ("$top", "-9223372036854775808"),
            ("$skip", "9223372036854775807"),
            ("$skip", "18446744073709551615"),
            ("$orderby", "id desc desc"),
            ("$orderby", &keys),
            ("$orderby", &long),
            ("$select", &long),
        ]);
        for headers in [V2, V3, TOOLKIT] {
            for (name, value) in &options {
                let path = format!("/tables/todoitem?{}={}", encoded(name), encoded(value));
                if path.len() > 60_000 {
                    // No request any more, whoever it is for.
                    client.send("GET", &path, &[headers], b"").await.expect(414);
                    continue;
                }
                judged(&send(client, "GET", &path, &[headers], &Value::Null).await, &format!("{name}={value}"));
                if headers != V2 {
                    continue;
                }
                let path = format!("{path}&$inlinecount=allpages&$orderby=updatedAt&$skip=1");
                judged(&send(client, "GET", &path, &[headers], &Value::Null).await, &format!("{name}={value}"));
            }
        }
        for query in [
            "$filter=%",
            "$filter=%zz",
            "%00=%00",
            "&&&",
            "=",
            "$filter",
            "$top=1&$top=x",
            "$filter=a%20eq%201&$filter=)",
        ] {
            judged(&send(client, "GET", &format!("/tables/todoitem?{query}"), &[V2], &Value::Null).await, query);
        }
        assert_eq!(list(client, "/tables/todoitem?$select=id,text").await, [json!({"id": "a", "text": "x"})]);
    })
    .await;
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
