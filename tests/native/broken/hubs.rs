//! Settings of hubs that break a rule.

use super::row::Row;
use super::world::World;

const HUB: &str = "/v1/hubs/demo";
/// The beginning of APNs settings that are complete.
const APNS: &str = r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"KEY1234567""#;

pub fn rows(_: &World) -> Vec<Row> {
    let put = |body: &str, field, rule| Row::invalid("PUT", HUB, body, field, rule);
    let apns = |rest: &str, field, rule| Row::invalid("PUT", HUB, format!("{APNS}{rest}}}}}"), field, rule);
    vec![
        Row::invalid("PUT", "/v1/hubs/-bad", "{}", "hub", "must begin with a letter or digit"),
        put("", "body", "must be a JSON object"),
        put("[]", "body", "must be a JSON object"),
        put("{\"weight\":1", "body", "must be a JSON object"),
        put(r#"{"wieght":1}"#, "wieght", "is not known here"),
        put(r#"{"weight":1,"weight":1}"#, "weight", "must not stand twice"),
        put(r#"{"weight":1001}"#, "weight", "must be a whole number from 1 to 1000"),
        put(r#"{"weight":0}"#, "weight", "must be a whole number from 1 to 1000"),
        put(r#"{"weight":"1"}"#, "weight", "must be a whole number from 1 to 1000"),
        put(r#"{"name":"other"}"#, "name", "must equal the hub in the path"),
        put(r#"{"keys":[]}"#, "keys", "must be an object"),
        put(r#"{"keys":{"a":{}}}"#, "keys.a.rights", "is required"),
        put(r#"{"keys":{"a":{"rights":["own"]}}}"#, "keys.a.rights", "may hold only listen, send and manage"),
        put(r#"{"keys":{"a":{"rights":["manage"]}}}"#, "keys.a.rights", "must include listen and send where it"),
        put(r#"{"keys":{"a":{"rights":[]}}}"#, "keys.a.rights", "must name at least one of listen, send and manage"),
        put(r#"{"keys":{"a":{"rights":["send"],"primary":"a b"}}}"#, "keys.a.primary", "only visible ASCII characters"),
        put(r#"{"keys":{"a":{"rights":["send"],"primary":""}}}"#, "keys.a.primary", "must have 1 to 256 characters"),
        put(r#"{"keys":{"a":{"rights":["send"],"tertiary":"a"}}}"#, "keys.a.tertiary", "is not known here"),
        put(
            r#"{"keys":{"a":{"rights":["send"]},"A":{"rights":["send"]}}}"#,
            "keys.A",
            "must have a name that differs from the others' in more than case",
        ),
        put(r#"{"apns":7}"#, "apns", "must be an object"),
        put(r#"{"apns":{"team_id":"TEAM123456"}}"#, "apns.topic", "is required"),
        put(r#"{"apns":{"topic":"t","team_id":"TEAM123456"}}"#, "apns.key_id", "is required with team_id"),
        put(r#"{"apns":{"topic":"t","team_id":"TEAM123456","key_id":"OTHER12345"}}"#, "apns.key", "is required"),
        put(
            r#"{"apns":{"topic":"t","cert":"no PEM","cert_key":"no PEM"}}"#,
            "apns.cert",
            "must hold certificates in PEM",
        ),
        put(r#"{"apns":{"topic":"t","cert":"no PEM","key":"k"}}"#, "apns.cert", "must not stand beside team_id"),
        put(
            r#"{"apns":{"topic":"a b","team_id":"TEAM123456","key_id":"KEY1234567"}}"#,
            "apns.topic",
            "must be a bundle id",
        ),
        apns(r#","key":"no PEM""#, "apns.key", "must be a P-256 private key"),
        apns(r#","endpoint":"http://a""#, "apns.endpoint", "must be https://host"),
        apns(r#","connections":0"#, "apns.connections", "must be a whole number from 1 to 1000"),
        apns(r#","rate_per_second":-1"#, "apns.rate_per_second", "must be a whole number from 0 to 100000000"),
        apns(r#","ca":"no PEM""#, "apns.ca", "must hold certificates in PEM"),
        apns(r#","sandbox":true"#, "apns.sandbox", "is not known here"),
        put(r#"{"fcm":{"service_account":{}}}"#, "fcm.service_account", "must be the JSON of a service account"),
        put(r#"{"fcm":{"service_account":"x"}}"#, "fcm.service_account", "must be the JSON of a service account"),
        put(r#"{"fcm":{"endpoint":"http://a"}}"#, "fcm.endpoint", "must be https://host"),
        put(r#"{"fcm":{"ca":"no PEM"}}"#, "fcm.ca", "must hold certificates in PEM"),
        put(r#"{"fcm":{"project":"demo"}}"#, "fcm.project", "is not known here"),
        Row::invalid("PUT", "/v1/hubs/bare", r#"{"fcm":{}}"#, "fcm.service_account", "is required"),
        put(r#"{"wns":{"auth":"store"}}"#, "wns.auth", "must be"),
        put(
            r#"{"wns":{"auth":"live","tenant_id":"t","client_id":"ms-app://S-1-15-2-1"}}"#,
            "wns.tenant_id",
            "must not be given with auth",
        ),
        put(r#"{"wns":{"tenant_id":"t","client_secret":"s"}}"#, "wns.client_id", "is required"),
        put(r#"{"wns":{"tenant_id":"t","client_id":"i","client_secret":""}}"#, "wns.client_secret", "must"),
        put(
            r#"{"wns":{"tenant_id":"t","client_id":"i","client_secret":"s","allowed_hosts":["a/b"]}}"#,
            "wns.allowed_hosts",
            "must be",
        ),
        put(
            r#"{"wns":{"tenant_id":"t","client_id":"i","client_secret":"s","token_endpoint":"http://a"}}"#,
            "wns.token_endpoint",
            "must be",
        ),
        put(
            r#"{"wns":{"client_id":"i","client_secret":"s","tenant_id":"t","tenant":"t"}}"#,
            "wns.tenant",
            "is not known here",
        ),
        Row::invalid(
            "PUT",
            "/v1/hubs/bare",
            r#"{"wns":{"tenant_id":"t","client_id":"i"}}"#,
            "wns.client_secret",
            "is required",
        ),
    ]
}
