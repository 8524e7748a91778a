//! The signature of a request (`push-services.md` 5.2): it lets the request in and ties every parameter to it.

use md5::{Digest, Md5};

/// Sorts the parameters and signs a POST of them: the MD5, in hexadecimal, of method, address, parameters by name and
/// secret key, written like the value of a form.
pub(super) fn sign(url: &str, parameters: &mut [(&str, &str)], secret_key: &str) -> String {
    parameters.sort_unstable();
    let mut base = format!("POST{url}");
    for (name, value) in parameters {
        base.extend([*name, "=", *value]);
    }
    base.push_str(secret_key);
    let mut hash = Md5::new();
    for piece in form_urlencoded::byte_serialize(base.as_bytes()) {
        // The service writes forms as PHP does, where an asterisk does not stand for itself.
        hash.update(piece.replace('*', "%2A"));
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out apart, with PHP's rule for what a form leaves as it is.
    #[test]
    fn the_base_is_written_as_the_service_writes_it() {
        let url = "https://api.tuisong.baidu.com/rest/3.0/push/single_device";
        let mut plain = [("timestamp", "1427180905"), ("msg_type", "1"), ("apikey", "key"), ("channel_id", "42")];
        assert_eq!(sign(url, &mut plain, "secret"), "fff4b482d7df017618f0b763bd9bc4fd");
        assert_eq!(plain.map(|(name, _)| name), ["apikey", "channel_id", "msg_type", "timestamp"]);
        let mut rich = [("msg", r#"{"title":"a b*~-_.(é)!'","k":1}"#), ("apikey", "key")];
        assert_eq!(sign(url, &mut rich, "s*t"), "ba6cf0ab46e9ef5b79e3c2f8bf0b65c8");
    }
}
