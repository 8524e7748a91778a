//! What `queue.url` says about a Redis: which form, where, as whom.
//!
//! ```text
//! redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]
//! redis+sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DATABASE][?sentinel_user=…&sentinel_password=…]
//! redis+cluster://[USER:PASSWORD@]HOST[:PORT],…
//! ```
//!
//! User and password are those of the servers; Sentinels have their own.

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

use super::super::QueueError;
use crate::config::ServiceUrl;

/// Where the servers are.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Single(ConnectionInfo),
    Sentinel { sentinels: Vec<ConnectionInfo>, master: String, login: Login },
    Cluster(Vec<ConnectionInfo>),
}

/// As whom, and which database.
#[derive(Clone, Default)]
pub(super) struct Login {
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: i64,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("database", &self.database).finish_non_exhaustive()
    }
}

impl Address {
    /// Reads the URL of a queue.
    pub(super) fn parse(url: &ServiceUrl) -> Result<Self, QueueError> {
        let refused = |why: &str| QueueError(format!("queue.url {why}: {url}"));
        let mut path = url.path().trim_start_matches('/').split('/');
        let first = path.next().unwrap_or_default();
        let database = |text: &str| match text {
            "" => Ok(0),
            number => number.parse().map_err(|_| refused("must end in the number of a database")),
        };
        let (user, password) = credentials(url.expose()).ok_or_else(|| refused("has a broken % in its credentials"))?;
        let login = Login { user, password, database: 0 };
        let infos = |login: &Login, port: u16| -> Result<Vec<_>, QueueError> {
            let info = |(host, given): &(String, Option<u16>)| login.info(host, given.unwrap_or(port));
            url.hosts().iter().map(info).collect::<RedisResult<_>>().map_err(|error| QueueError(error.to_string()))
        };
        match url.scheme() {
            "redis" => {
                let login = Login { database: database(first)?, ..login };
                let info = infos(&login, 6379)?.into_iter().next();
                info.map(Self::Single).ok_or_else(|| refused("must name a host"))
            }
            "redis+sentinel" if !first.is_empty() => {
                let login = Login { database: database(path.next().unwrap_or_default())?, ..login };
                let of_sentinels = Login {
                    user: parameter(url.expose(), "sentinel_user"),
                    password: parameter(url.expose(), "sentinel_password"),
                    database: 0,
                };
                let sentinels = infos(&of_sentinels, 26_379)?;
                Ok(Self::Sentinel { sentinels, master: first.to_owned(), login })
            }
            "redis+cluster" => Ok(Self::Cluster(infos(&login, 6379)?)),
            _ => Err(refused("must be redis:, redis+sentinel: with a master's name, or redis+cluster:")),
        }
    }
}

impl Login {
    fn info(&self, host: &str, port: u16) -> RedisResult<ConnectionInfo> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(ConnectionAddr::Tcp(host, port).into_connection_info()?.set_redis_settings(self.settings()))
    }

    /// In the driver's terms.
    pub(super) fn settings(&self) -> RedisConnectionInfo {
        let mut settings = RedisConnectionInfo::default().set_db(self.database);
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        settings
    }
}

/// User and password of a URL; `None` when a percent sign in them is followed by no two hex digits.
fn credentials(url: &str) -> Option<(Option<String>, Option<String>)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((login, _)) = authority.rsplit_once('@') else { return Some((None, None)) };
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let some =
        |text: &str| -> Option<Option<String>> { if text.is_empty() { Some(None) } else { decode(text).map(Some) } };
    Some((some(user)?, password.map_or(Some(None), some)?))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, QueueError> {
        Address::parse(&ServiceUrl::parse(text).unwrap())
    }

    #[test]
    fn one_server_with_user_password_and_database() {
        let Ok(Address::Single(info)) = parse("redis://anna:p%40w@h:7000/3") else { panic!("one server") };
        assert_eq!(info.addr().to_string(), "h:7000");
        let settings = info.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("anna"), Some("p@w"), 3));
        let Ok(Address::Single(info)) = parse("redis://:secret@[::1]") else { panic!("one server") };
        let settings = info.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (None, Some("secret"), 0));
    }

    #[test]
    fn sentinels_have_logins_of_their_own() {
        let parsed = parse("redis+sentinel://:server@h1,h2:7001/main/2?sentinel_password=watch");
        let Ok(Address::Sentinel { sentinels, master, login }) = parsed else { panic!("Sentinels") };
        assert_eq!(sentinels[0].addr().to_string(), "h1:26379");
        assert_eq!(sentinels[1].addr().to_string(), "h2:7001");
        assert_eq!(sentinels[1].redis_settings().password(), Some("watch"));
        assert_eq!((master.as_str(), login.password.as_deref(), login.database), ("main", Some("server"), 2));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_its_password() {
        for text in ["redis://u:p%4w@h", "redis+sentinel://u:p@h", "redis://u:p@h/x", "http://u:p@h"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("p%4w") && !error.contains(":p@"), "{error}");
        }
    }
}
