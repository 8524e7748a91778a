//! What the elements of each platform are called, and in which order they stand (2.3.2).

use crate::model::platform::PlatformWord;

/// The elements of one platform's registrations.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) platform: PlatformWord,
    /// What the root element begins with.
    pub(super) stem: &'static str,
    /// The elements that make the channel.
    pub(super) handles: &'static [&'static str],
    /// Whether it may name a secondary tile.
    pub(super) tiles: bool,
    /// The list of headers of its templates and one of it, and whether it stands even when empty: the .NET client
    /// requires it of Windows and MPNS.
    pub(super) headers: Option<(&'static str, &'static str, bool)>,
}

const FORMS: [Form; 10] = [
    Form {
        platform: PlatformWord::Apns,
        stem: "Apple",
        handles: &["DeviceToken"],
        tiles: false,
        headers: Some(("ApnsHeaders", "ApnsHeader", false)),
    },
    plain(PlatformWord::FcmV1, "FcmV1", &["FcmV1RegistrationId"]),
    plain(PlatformWord::Gcm, "Gcm", &["GcmRegistrationId"]),
    // Defined by two clients and never sent; behind the one whose name it is written by.
    plain(PlatformWord::Gcm, "Fcm", &["FcmRegistrationId"]),
    Form {
        platform: PlatformWord::Wns,
        stem: "Windows",
        handles: &["ChannelUri"],
        tiles: true,
        headers: Some(("WnsHeaders", "WnsHeader", true)),
    },
    Form {
        platform: PlatformWord::Mpns,
        stem: "Mpns",
        handles: &["ChannelUri"],
        tiles: true,
        headers: Some(("MpnsHeaders", "MpnsHeader", true)),
    },
    plain(PlatformWord::Adm, "Adm", &["AdmRegistrationId"]),
    plain(PlatformWord::Baidu, "Baidu", &["BaiduUserId", "BaiduChannelId"]),
    plain(PlatformWord::Browser, "Browser", &["Endpoint", "P256DH", "Auth"]),
    plain(PlatformWord::Xiaomi, "Xiaomi", &["XiaomiRegistrationId"]),
];

const fn plain(platform: PlatformWord, stem: &'static str, handles: &'static [&'static str]) -> Form {
    Form { platform, stem, handles, tiles: false, headers: None }
}

const END: &str = "RegistrationDescription";
const TEMPLATE: &str = "Template";

/// The form that a root element names, and whether it is that of a template.
pub(super) fn of_root(name: &str) -> Option<(&'static Form, bool)> {
    let stem = name.strip_suffix(END)?;
    let (stem, template) = stem.strip_suffix(TEMPLATE).map_or((stem, false), |stem| (stem, true));
    FORMS.iter().find(|form| form.stem == stem).map(|form| (form, template))
}

/// The form that a platform is written in.
pub(super) fn of_platform(platform: PlatformWord) -> &'static Form {
    // Every word has one: the first is never what is answered.
    FORMS.iter().find(|form| form.platform == platform).unwrap_or(&FORMS[0])
}

/// The forms that have a handle of this name, without regard to case.
pub(super) fn with_handle(name: &str) -> impl Iterator<Item = &'static Form> {
    FORMS.iter().filter(move |form| form.handles.iter().any(|handle| handle.eq_ignore_ascii_case(name)))
}

/// The name of the root element.
pub(super) fn root(form: &Form, template: bool) -> String {
    [form.stem, if template { TEMPLATE } else { "" }, END].concat()
}
