//! What is counted is what is shown.

use super::*;
use crate::gateway::Unsent;
use crate::model::id::Seq;
use crate::model::verdict::Verdict;

#[test]
fn what_is_counted_is_shown_with_bounded_labels() {
    let metrics = Metrics::new();
    let (hub, platform) = (HubId(7), Platform::Apns);
    metrics.name_hub(hub, &HubName::parse("demo").unwrap());
    let delivered = Answer::Verdict { verdict: Verdict::Delivered, reason: None, written_at: None };
    let stopped = Answer::Unsent(Unsent::Stopped);
    let replies = [(1, &delivered), (2, &delivered), (3, &stopped)];
    let replies = replies.map(|(seq, what)| Reply { seq: Seq(seq), what: what.clone() });
    metrics.replies(hub, platform, &replies);
    metrics.outcomes(hub, platform, Outcome::Skipped, 5);
    Meter::sender(&*metrics, hub, platform, true, false);
    metrics.conservation(&BTreeMap::new());
    metrics.queue_age(Lane::Bulk, Duration::from_millis(1_500));
    metrics.registered(hub, &[Applied::Created, Applied::Touched, Applied::Created]);
    metrics.accepted(hub, Duration::from_millis(3));
    metrics.retries(hub, platform, 4);
    metrics.first_send(Lane::Bulk, Duration::from_millis(30));
    let mut commits = Commits { unfolded: 6, ..Commits::default() };
    commits.count(Duration::from_millis(3));
    metrics.committed(commits);
    let page = metrics.render();
    for line in [
        r#"fanfare_verdicts_total{hub="demo",platform="apns",verdict="delivered"} 2"#,
        r#"fanfare_unsent_total{hub="demo",platform="apns",cause="stopped"} 1"#,
        r#"fanfare_outcomes_total{hub="demo",platform="apns",outcome="skipped"} 5"#,
        r#"fanfare_sender_paused{hub="demo",platform="apns"} 1"#,
        r#"fanfare_drop_breaker_open{hub="demo",platform="apns"} 0"#,
        r#"fanfare_conservation_difference{hub="demo"} 0"#,
        r#"fanfare_queue_age_seconds{lane="bulk"} 1.5"#,
        r#"fanfare_registrations_total{hub="demo",result="created"} 2"#,
        r#"fanfare_broadcasts_total{hub="demo"} 1"#,
        r#"fanfare_accept_seconds_bucket{hub="demo",le="0.005"} 1"#,
        r#"fanfare_retries_total{hub="demo",platform="apns"} 4"#,
        r#"fanfare_first_send_seconds_bucket{lane="bulk",le="0.05"} 1"#,
        r#"fanfare_store_commit_seconds_bucket{le="0.0025"} 0"#,
        r#"fanfare_store_commit_seconds_bucket{le="+Inf"} 1"#,
        "fanfare_store_unfolded_rows 6",
        "# TYPE fanfare_process_cpu_seconds_total",
    ] {
        assert!(page.lines().any(|shown| shown.starts_with(line)), "{line}\n{page}");
    }
}

#[test]
fn a_deleted_hub_is_shown_no_more_and_its_successor_is() {
    let metrics = Metrics::new();
    let (demo, other) = (HubName::parse("demo").unwrap(), HubName::parse("demo2").unwrap());
    metrics.name_hub(HubId(7), &demo);
    metrics.name_hub(HubId(8), &other);
    metrics.outcomes(HubId(7), Platform::Apns, Outcome::Delivered, 5);
    metrics.outcomes(HubId(8), Platform::Apns, Outcome::Delivered, 6);
    metrics.forget_hub(HubId(7));
    metrics.outcomes(HubId(7), Platform::Apns, Outcome::Delivered, 1);
    let page = metrics.render();
    assert!(!page.contains(r#"hub="demo""#), "{page}");
    assert!(page.contains(r#"hub="demo2",platform="apns",outcome="delivered"} 6"#), "{page}");
    metrics.name_hub(HubId(9), &demo);
    assert!(metrics.render().contains(r#"fanfare_broadcasts_total{hub="demo"} 0"#));
}

#[test]
fn a_thousand_hubs_that_came_and_went_leave_nothing() {
    let metrics = Metrics::new();
    let stays = HubName::parse("stays").unwrap();
    metrics.name_hub(HubId(1), &stays);
    metrics.outcomes(HubId(1), Platform::Apns, Outcome::Delivered, 5);
    let kept = |metrics: &Metrics| {
        (
            metrics.of_hubs.lock().len(),
            metrics.hubs.read().len(),
            metrics.senders.read().len(),
            metrics.gateways.lock().len(),
        )
    };
    let before = (kept(&metrics), metrics.render().lines().count());
    for number in 0..1_000 {
        let (id, name) = (HubId(10 + number), HubName::parse(&format!("hub-{number}")).unwrap());
        let meter = Arc::new(GatewayMeter::default());
        metrics.watch_gateway(&name, Platform::Apns, &meter);
        metrics.name_hub(id, &name);
        metrics.registered(id, &[Applied::Created]);
        metrics.accepted(id, Duration::from_millis(1));
        metrics.outcomes(id, Platform::Apns, Outcome::Delivered, 1);
        metrics.forget_hub(id);
        // A worker that still has it in hand brings nothing back.
        metrics.outcomes(id, Platform::Apns, Outcome::Delivered, 1);
        // Of a hub that was never made, because its commit failed, only the gateway was opened.
        metrics.watch_gateway(&HubName::parse(&format!("never-{number}")).unwrap(), Platform::Apns, &meter);
    }
    metrics.upkeep();
    assert_eq!((kept(&metrics), metrics.render().lines().count()), before);
    assert!(metrics.render().contains(r#"fanfare_outcomes_total{hub="stays",platform="apns",outcome="delivered"} 5"#));
}
