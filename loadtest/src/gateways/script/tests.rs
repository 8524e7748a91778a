use super::*;

#[test]
fn the_form_shown_above_is_read() {
    let text: String = include_str!("../script.rs")
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| format!("{}\n", line.trim_start_matches("//!")))
        .collect();
    let script: Script = toml::from_str(&text).unwrap();
    assert_eq!(script.latency_ms, Latency::Range { min: 5, max: 20 });
    assert_eq!(script.mix.len(), 3);
    assert_eq!(script.rules[1].act, Act::Stall { accepted: true });
    let go_away = GoAway { lag: 10, reason: Some("Shutdown".to_owned()), ..GoAway::default() };
    assert_eq!(script.events[0].act, ConnectionAct::GoAway(go_away));
    let json = serde_json::to_string(&script).unwrap();
    assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
}

#[test]
fn unknown_keys_are_refused() {
    assert!(toml::from_str::<Script>("latncy_ms = 4").is_err());
    assert!(toml::from_str::<Script>("rules = [{ act = { answer = { status = 200, reson = \"x\" } } }]").is_err());
}
