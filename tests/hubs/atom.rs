//! Documents of registrations and jobs as clients write them.

/// A description as the JavaScript client writes it.
pub fn description(root: &str, elements: &str) -> String {
    format!(
        "<{root}RegistrationDescription xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">{elements}\
         </{root}RegistrationDescription>"
    )
}

/// The same in an entry.
pub fn entry(root: &str, elements: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?><entry xmlns=\"http://www.w3.org/2005/Atom\">\
         <updated>2026-01-05T10:00:00.000Z</updated><content type=\"application/xml\">{}</content></entry>",
        description(root, elements)
    )
}

/// An FCM registration with these tags.
pub fn fcm(token: &str, tags: &str) -> String {
    entry("FcmV1", &format!("<Tags>{tags}</Tags><FcmV1RegistrationId>{token}</FcmV1RegistrationId>"))
}

/// A job.
pub fn job(kind: &str, output: &str, input: Option<&str>) -> String {
    let input = input.map(|input| format!("<ImportFileUri><![CDATA[{input}]]></ImportFileUri>")).unwrap_or_default();
    format!(
        "<entry xmlns=\"http://www.w3.org/2005/Atom\"><content type=\"application/xml\"><NotificationHubJob \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\"><Type>{kind}</Type>\
         <OutputContainerUri><![CDATA[{output}]]></OutputContainerUri>{input}</NotificationHubJob></content></entry>"
    )
}
