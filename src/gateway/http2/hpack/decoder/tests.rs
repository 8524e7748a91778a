use proptest::prelude::*;

use super::*;

fn decode(decoder: &mut Decoder, block: &str) -> Result<Vec<String>, HpackError> {
    let block = hex::decode(block.replace(' ', "")).unwrap();
    let mut fields = Vec::new();
    decoder.decode(&block, |name, value| {
        let text = |text: Text<'_>| String::from_utf8(text.read().unwrap().into_owned()).unwrap();
        fields.push(format!("{}: {}", text(name), text(value)));
    })?;
    Ok(fields)
}

const REQUESTS: [&[&str]; 3] = [
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
    &[
        ":method: GET",
        ":scheme: https",
        ":path: /index.html",
        ":authority: www.example.com",
        "custom-key: custom-value",
    ],
];

#[test]
fn rfc_7541_c_2_representations() {
    let mut decoder = Decoder::default();
    let kept = "400a637573746f6d2d6b65790d637573746f6d2d686561646572";
    assert_eq!(decode(&mut decoder, kept).unwrap(), ["custom-key: custom-header"]);
    assert_eq!(decoder.table_size(), 55);
    assert_eq!(decode(&mut decoder, "040c2f73616d706c652f70617468").unwrap(), [":path: /sample/path"]);
    assert_eq!(decode(&mut decoder, "100870617373776f726406736563726574").unwrap(), ["password: secret"]);
    assert_eq!(decode(&mut decoder, "82").unwrap(), [":method: GET"]);
    assert_eq!(decoder.table_size(), 55);
}

#[test]
fn rfc_7541_c_3_requests_in_plain_text() {
    let mut decoder = Decoder::default();
    let blocks = [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ];
    for ((block, expected), size) in blocks.iter().zip(REQUESTS).zip([57, 110, 164]) {
        assert_eq!(decode(&mut decoder, block).unwrap(), expected);
        assert_eq!(decoder.table_size(), size);
    }
}

#[test]
fn rfc_7541_c_4_requests_in_huffman_code() {
    let mut decoder = Decoder::default();
    let blocks = [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ];
    for ((block, expected), size) in blocks.iter().zip(REQUESTS).zip([57, 110, 164]) {
        assert_eq!(decode(&mut decoder, block).unwrap(), expected);
        assert_eq!(decoder.table_size(), size);
    }
}

#[test]
fn rfc_7541_c_5_responses_with_eviction() {
    let mut decoder = Decoder::new(256);
    let blocks = [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ];
    for (block, size) in blocks.iter().zip([222, 222, 215]) {
        decode(&mut decoder, block).unwrap();
        assert_eq!(decoder.table_size(), size);
    }
}

#[test]
fn rfc_7541_c_6_responses_in_huffman_code_with_eviction() {
    let mut decoder = Decoder::new(256);
    let common = ["cache-control: private", "location: https://www.example.com"];
    let first =
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3";
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    assert_eq!(decode(&mut decoder, first).unwrap(), [":status: 302", common[0], date, common[1]]);
    assert_eq!(decoder.table_size(), 222);
    assert_eq!(decode(&mut decoder, "4883640effc1c0bf").unwrap(), [":status: 307", common[0], date, common[1]]);
    let third = "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007";
    let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let date = "date: Mon, 21 Oct 2013 20:13:22 GMT";
    assert_eq!(
        decode(&mut decoder, third).unwrap(),
        [":status: 200", common[0], date, common[1], "content-encoding: gzip", cookie]
    );
    assert_eq!(decoder.table_size(), 215);
}

#[test]
fn faults_are_refused() {
    for (block, error) in [
        ("80", HpackError::UnknownIndex(0)),
        ("be", HpackError::UnknownIndex(62)),
        ("7f01", HpackError::UnknownIndex(64)),
        ("3fe21f", HpackError::TableSize(4097)),
        ("8220", HpackError::TableSize(0)),
        ("0003", HpackError::Truncated),
        ("ff", HpackError::Truncated),
        ("ffffffffffff0f", HpackError::IntegerOverflow),
        ("40818501ff", HpackError::Huffman(InvalidHuffman)),
    ] {
        assert_eq!(decode(&mut Decoder::default(), block).unwrap_err(), error, "{block}");
    }
}

#[test]
fn a_smaller_table_evicts() {
    let mut decoder = Decoder::default();
    decode(&mut decoder, "400161016240016301644001650166").unwrap();
    assert_eq!(decode(&mut decoder, "3f23be").unwrap(), ["e: f"]);
    assert_eq!(decoder.table_size(), 34);
}

proptest! {
    #[test]
    fn noise_is_refused_or_decoded_but_never_harmful(blocks: Vec<Vec<u8>>) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let result = decoder.decode(&block, |name, value| drop((name.read(), value.read())));
            prop_assert!(decoder.table_size() <= DEFAULT_TABLE);
            if result.is_err() {
                break;
            }
        }
    }
}
