//! What every engine of the queue promises, checked against the trait alone (`rules`), and what the one that a fleet
//! shares promises when Redis is emptied, fails over, restarts or is away (`faults`, `fleet`, `memory`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say why and stop"
)]

mod bench;
mod faults;
mod fleet;
mod rules;
mod size;

use bench::{Memory, OnRedis};

macro_rules! each_rule {
    ($($rule:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::rules::$rule(&super::Memory::default()).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                super::rules::$rule(&super::OnRedis::single().await).await;
            })*
        }
        /// Every rule on one set of servers, emptied in between: they take seconds to start.
        async fn all_rules(bench: &OnRedis) {
            $(
                bench.flush();
                eprintln!("{}", stringify!($rule));
                rules::$rule(bench).await;
            )*
        }
    };
}

each_rule! {
    what_is_published_is_received_until_it_is_acknowledged
    nothing_is_queued_twice
    an_earlier_due_time_wins
    lanes_do_not_mix
    nothing_comes_before_it_is_due
    broadcasts_share_by_weight
    hubs_share_evenly
    a_newcomer_is_not_behind_a_long_line
    a_dropped_receiver_takes_nothing
    what_is_given_back_comes_again
    receivers_share_and_none_gets_what_another_has
    pokes_reach_everybody
    the_oldest_due_entry_is_known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_keep_every_rule() {
    all_rules(&OnRedis::sentinels().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_every_rule() {
    all_rules(&OnRedis::cluster().await).await;
}
