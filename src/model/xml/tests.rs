use super::*;
use proptest::prelude::*;

fn refused(document: &str) -> String {
    parse(document.as_bytes()).unwrap_err().to_string()
}

#[test]
fn names_lose_prefixes_and_text_is_what_it_means() {
    let document = "\u{feff}<?xml version=\"1.0\"?><!-- c --><a:r xmlns:a='x' i:type='a:Kind'>\
                    1 &lt;&#x41;<![CDATA[<b>&]]><c i:nil=\"true\"/><a:d>&quot;</a:d></a:r> ";
    let root = parse(document.as_bytes()).unwrap();
    assert_eq!((root.name.as_str(), root.kind.as_deref(), root.text.as_str()), ("r", Some("Kind"), "1 <A<b>&"));
    assert_eq!(root.child("c"), None, "nil is as if it were not there");
    assert_eq!(root.child("d").unwrap().text, "\"");
}

#[test]
fn whatever_could_cost_more_than_its_length_is_refused() {
    let laughs = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]><r>&b;</r>";
    assert_eq!(refused(laughs), "body must not have a document type");
    assert_eq!(refused("<r>&nbsp;</r>"), "body must not have entities but those of XML itself");
    assert_eq!(
        refused(&format!("{}{}", "<a>".repeat(33), "</a>".repeat(33))),
        "body must not have elements more than 32 deep"
    );
    let empty = format!("{}<b/>{}", "<a>".repeat(32), "</a>".repeat(32));
    assert_eq!(refused(&empty), "body must not have elements more than 32 deep");
    assert_eq!(refused(&format!("<r>{}</r>", "<a/>".repeat(8192))), "body must not have more than 8192 elements");
}

#[test]
fn what_is_no_document_is_refused() {
    for document in [
        "",
        " ",
        "x",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a b></a>",
        "x<a/>",
        "<a x='1' x='2'/>",
        "<a x='&own;'/>",
        "<a>\0</a>",
        "<a>b\u{b}</a>",
        "<a x='\u{1}'/>",
        "<a><![CDATA[\u{fffe}]]></a>",
    ] {
        assert!(parse(document.as_bytes()).is_err(), "{document}");
    }
    assert_eq!(parse(b"<a>\xff</a>").unwrap_err().to_string(), "body must be UTF-8");
}

#[test]
fn a_carriage_return_reads_back_however_it_is_written() {
    let mut document = String::from("<r>");
    push(&mut document, "a", "1\r\n2\r");
    push_cdata(&mut document, "b", "1\r\n2\r]]>");
    document.extend(["<c>", &escaped_text("\r\""), "</c></r>"]);
    let read = parse(document.as_bytes()).unwrap();
    let text = |name| read.child(name).unwrap().text.as_str();
    assert_eq!((text("a"), text("b"), text("c")), ("1\r\n2\r", "1\r\n2\r]]>", "\r\""));
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_markup_gives_an_answer(text in "[<>/a&;!\\[\\]CDATA='\" -]{0,60}") {
        let _ = parse_text(&text);
    }

    #[test]
    fn text_comes_back(text in "[^\r]{0,40}") {
        let kept: String = text.chars().filter(|c| is_character(*c)).collect();
        for write in [push, push_cdata] {
            let mut out = String::new();
            write(&mut out, "a", &text);
            prop_assert_eq!(&parse_text(&out).unwrap().text, &kept);
        }
    }
}
