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

#[test]
fn the_first_matching_rule_decides_until_it_is_spent() {
    let script = Script::new()
        .rule_times(1, When { every: Some(2), ..When::default() }, Act::refuse(500, "InternalServerError"))
        .token("ab1", Act::refuse(410, "Unregistered"));
    let active = ActiveScript::new(script);
    let (dead, alive) = (Token::new(&[0xab, 0x1f]), Token::new(&[0xab, 0x2f]));
    let status = |token| match active.decide(token).0 {
        None => 200,
        Some(Act::Answer(answer)) => answer.status,
        Some(_) => 0,
    };
    assert_eq!([&alive, &dead, &dead, &alive].map(status), [200, 500, 410, 200]);
}

#[test]
fn a_quota_is_kept_in_each_span_and_goes_before_all_rules() {
    let beyond = Act::refuse(429, "QUOTA_EXCEEDED");
    let active = ActiveScript::new(Script::new().quota(3, beyond.clone()).always(Act::refuse(404, "X")));
    let (quota, start) = (active.script.quota.as_ref().unwrap(), Instant::now());
    for begin in [0_u64, 1_000, 2_500] {
        let within = |late| active.within(quota, start + Duration::from_millis(begin + late));
        assert_eq!((0..5).filter(|n: &u64| within(n * 150)).count(), 3);
    }
    // Now lies before the end of the last span, which is used up.
    assert_eq!(active.decide(&Token::new(&[1])).0, Some(&beyond));
}

#[test]
fn a_mix_is_drawn_by_weight_and_by_token_for_good() {
    let mut script = Script::new().share(90, Act::Answer(Answer::accepted())).share(10, Act::refuse(410, "X"));
    script.draw = Draw::Token;
    let active = ActiveScript::new(script);
    let draw = |n: u32| active.decide(&Token::new(&n.to_be_bytes())).0.cloned();
    let first: Vec<_> = (0..10_000).map(draw).collect();
    let refused = first.iter().filter(|act| **act == Some(Act::refuse(410, "X"))).count();
    assert!((900..1100).contains(&refused), "{refused}");
    assert_eq!((0..10_000).map(draw).collect::<Vec<_>>(), first);
}
