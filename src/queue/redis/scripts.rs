//! The scripts, each one atomic step at one place. They know Redis' own time only.

use deadpool_redis::redis::Script;

/// All of them, made ready once.
pub(super) struct Scripts {
    pub publish: Script,
    pub take: Script,
    pub acknowledge: Script,
    pub give_back: Script,
    pub beat: Script,
    pub leave: Script,
    pub oldest: Script,
    pub tokens: Script,
    pub workers: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let at_a_place = |text: &str| Script::new(&[include_str!("lua/lib.lua"), text].join("\n"));
        Self {
            publish: at_a_place(include_str!("lua/publish.lua")),
            take: at_a_place(include_str!("lua/take.lua")),
            acknowledge: at_a_place(include_str!("lua/acknowledge.lua")),
            give_back: at_a_place(include_str!("lua/give_back.lua")),
            beat: at_a_place(include_str!("lua/beat.lua")),
            leave: at_a_place(include_str!("lua/leave.lua")),
            oldest: at_a_place(include_str!("lua/oldest.lua")),
            tokens: Script::new(include_str!("lua/tokens.lua")),
            workers: Script::new(include_str!("lua/workers.lua")),
        }
    }
}
