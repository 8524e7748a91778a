//! PostgreSQL: there, of a version that does, durable, with room for every process.

use super::{Finding, Known};
use crate::clock::SystemClock;
use crate::store::postgres::{self, Inspection, Options, SCHEMA_VERSION};

const ABOUT: &str = "store";
/// The oldest server that the schema and the statements are written for.
const OLDEST: i32 = 140_000;
/// A second machine for the API, one to send, and one more while they are replaced.
const FLEET: i64 = 3;

pub(super) async fn shared(options: &Options) -> (Vec<Finding>, Known) {
    match postgres::inspect(options, &SystemClock).await {
        Ok(found) => (judge(&found, options.connections), Known(found.hubs)),
        Err(error) => {
            let text = format!("{error}; check store.url, that the server runs, its pg_hba.conf and the firewall");
            (vec![Finding::fail(ABOUT, text)], Known::default())
        }
    }
}

fn judge(found: &Inspection, pool: usize) -> Vec<Finding> {
    vec![
        reached(found),
        version(found.version),
        schema(found),
        durability(found),
        connections(found, i64::try_from(pool).unwrap_or(i64::MAX)),
        super::clock::beside("store", found.clock_ahead),
    ]
}

fn reached(found: &Inspection) -> Finding {
    if found.is_standby {
        return Finding::fail(ABOUT, "the server is a standby and takes no writes; name the primary in store.url");
    }
    match found.is_encrypted {
        true => Finding::ok(ABOUT, "PostgreSQL answers, over TLS"),
        false => {
            let text = "PostgreSQL answers, unencrypted; sslmode=verify-full belongs in store.url unless the network is \
                        yours alone";
            Finding::ok(ABOUT, text)
        }
    }
}

fn version(number: i32) -> Finding {
    let shown = format!("PostgreSQL {}.{}", number / 10_000, number % 10_000);
    match number {
        ..OLDEST => Finding::fail(ABOUT, format!("{shown} is too old; it must be 14 or later")),
        _ => Finding::ok(ABOUT, shown),
    }
}

fn schema(found: &Inspection) -> Finding {
    let (has, knows) = (found.schema.version, SCHEMA_VERSION);
    if found.schema.oldest > knows {
        let text = format!("it has schema version {has}, this build knows up to {knows}; run the newer version");
        return Finding::fail(ABOUT, text);
    }
    match has {
        _ if has < knows && !found.may_create => {
            let text = format!("it has schema version {has} of {knows}, and this user may not create tables; grant it");
            Finding::fail(ABOUT, text)
        }
        0 => Finding::ok(ABOUT, "it has no schema yet; `serve` or `migrate` makes it"),
        _ if has < knows => {
            Finding::warn(ABOUT, format!("it has schema version {has}; `fanfare migrate` brings it to {knows}"))
        }
        _ => Finding::ok(ABOUT, format!("schema version {has}")),
    }
}

/// What a 2xx promises rests on these.
fn durability(found: &Inspection) -> Finding {
    let shown = format!(
        "synchronous_commit={}, fsync={}, full_page_writes={}",
        found.synchronous_commit, found.fsync, found.full_page_writes
    );
    let off = |setting: &str| setting == "off";
    if off(&found.fsync) || off(&found.full_page_writes) {
        let text = format!("{shown}: a crash of the machine may destroy the database; turn both on");
        return Finding::fail(ABOUT, text);
    }
    if off(&found.synchronous_commit) {
        let text = format!("{shown}: a crash loses what was accepted in the last moments; turn synchronous_commit on");
        return Finding::fail(ABOUT, text);
    }
    Finding::ok(ABOUT, shown)
}

fn connections(found: &Inspection, pool: i64) -> Finding {
    let fit = found.connections / pool.max(1);
    let text = format!(
        "{} connections, {} in use now: enough for {fit} processes of store.connections = {pool}",
        found.connections, found.used_connections
    );
    let mend = "raise max_connections, or lower store.connections";
    match fit {
        0 => Finding::fail(ABOUT, format!("{text}; {mend}")),
        fit if fit < FLEET => Finding::warn(ABOUT, format!("{text}; {mend}, if there are to be more")),
        _ => Finding::ok(ABOUT, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::store::postgres::SchemaVersion;

    fn good() -> Inspection {
        Inspection {
            version: 160_004,
            schema: SchemaVersion { version: SCHEMA_VERSION, oldest: 1 },
            may_create: true,
            is_standby: false,
            is_encrypted: false,
            synchronous_commit: "on".into(),
            fsync: "on".into(),
            full_page_writes: "on".into(),
            connections: 97,
            used_connections: 3,
            clock_ahead: 2,
            hubs: Vec::new(),
        }
    }

    fn worst(found: &Inspection) -> State {
        let states: Vec<_> = judge(found, 16).into_iter().map(|finding| finding.state).collect();
        [State::Fail, State::Warn].into_iter().find(|state| states.contains(state)).unwrap_or(State::Ok)
    }

    #[test]
    fn each_bad_setting_is_found() {
        assert_eq!(worst(&good()), State::Ok);
        let newer = SchemaVersion { version: SCHEMA_VERSION + 1, oldest: SCHEMA_VERSION + 1 };
        let beside = SchemaVersion { version: SCHEMA_VERSION + 1, oldest: SCHEMA_VERSION };
        let none = SchemaVersion { version: 0, oldest: 0 };
        for (found, state) in [
            (Inspection { version: 130_012, ..good() }, State::Fail),
            (Inspection { is_standby: true, ..good() }, State::Fail),
            (Inspection { fsync: "off".into(), ..good() }, State::Fail),
            (Inspection { full_page_writes: "off".into(), ..good() }, State::Fail),
            (Inspection { synchronous_commit: "off".into(), ..good() }, State::Fail),
            (Inspection { synchronous_commit: "local".into(), ..good() }, State::Ok),
            (Inspection { connections: 10, ..good() }, State::Fail),
            (Inspection { connections: 40, ..good() }, State::Warn),
            (Inspection { clock_ahead: -60_000, ..good() }, State::Warn),
            (Inspection { clock_ahead: 600_000, ..good() }, State::Fail),
            (Inspection { schema: newer, ..good() }, State::Fail),
            (Inspection { schema: beside, ..good() }, State::Ok),
            (Inspection { schema: none, ..good() }, State::Ok),
            (Inspection { schema: none, may_create: false, ..good() }, State::Fail),
        ] {
            assert_eq!(worst(&found), state, "{found:?}");
        }
    }
}
