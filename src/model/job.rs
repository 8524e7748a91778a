//! Jobs over all registrations of a hub: export, and import from a file (`specs/notification-hubs.md` 2.9).

use serde::{Deserialize, Serialize};

use super::field::FieldError;
use super::time::Timestamp;
use super::xml::{self, push};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    Export,
    /// Registrations that are not there yet.
    Create,
    /// Registrations that are there.
    Update,
    Delete,
    Upsert,
}

impl JobKind {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Export, "ExportRegistrations"),
        (Self::Create, "ImportCreateRegistrations"),
        (Self::Update, "ImportUpdateRegistrations"),
        (Self::Delete, "ImportDeleteRegistrations"),
        (Self::Upsert, "ImportUpsertRegistrations"),
    ];

    /// The word of a document.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| known.eq_ignore_ascii_case(word)).map(|(kind, _)| *kind)
    }

    /// Whether it reads a file.
    pub fn is_import(self) -> bool {
        self != Self::Export
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Written down; nobody has begun.
    Started,
    Running,
    Completed,
    Failed,
}

impl JobStatus {
    /// The word of a document.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing more happens.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// What a caller asks for. Both addresses may be keys themselves: they reach no log.
#[derive(Clone, PartialEq, Eq)]
pub struct JobRequest {
    pub kind: JobKind,
    /// Where the results go.
    pub output: String,
    /// What an import reads.
    pub input: Option<String>,
}

impl std::fmt::Debug for JobRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobRequest").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl JobRequest {
    /// Reads an entry, or the description alone.
    ///
    /// # Errors
    /// Names the element and the rule.
    pub fn read(document: &[u8]) -> Result<Self, FieldError> {
        let root = xml::parse(document)?;
        let job = match root.name.as_str() {
            "NotificationHubJob" => Some(&root),
            _ => root.child("content").and_then(|content| content.child("NotificationHubJob")),
        };
        let job = job.ok_or_else(|| FieldError::new("content", "must hold a NotificationHubJob"))?;
        let text = |name| job.child(name).map(|child| child.text.trim()).filter(|text| !text.is_empty());
        let kind = text("Type").ok_or_else(|| FieldError::new("Type", "is required"))?;
        let kind = JobKind::of_word(kind).ok_or_else(|| {
            let rule = "must be ExportRegistrations, ImportCreateRegistrations, ImportUpdateRegistrations, \
                        ImportDeleteRegistrations or ImportUpsertRegistrations";
            FieldError::new("Type", rule)
        })?;
        let output = text("OutputContainerUri").ok_or_else(|| FieldError::new("OutputContainerUri", "is required"))?;
        let input = text("ImportFileUri").map(str::to_owned);
        if kind.is_import() && input.is_none() {
            return Err(FieldError::new("ImportFileUri", "is required for an import"));
        }
        Ok(Self { kind, output: output.to_owned(), input: input.filter(|_| kind.is_import()) })
    }
}

/// A job as its owner sees it.
#[derive(Clone, Copy)]
pub struct ShownJob<'a> {
    pub id: &'a str,
    pub request: &'a JobRequest,
    pub status: JobStatus,
    /// Per cent.
    pub progress: f64,
    pub failure: Option<&'a str>,
    /// Of the results, below the container; once they are there.
    pub output_path: Option<&'a str>,
    pub failed_path: Option<&'a str>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl std::fmt::Debug for ShownJob<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownJob").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

const ATOM: &str = "http://www.w3.org/2005/Atom";
const CONNECT: &str = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const ARRAYS: &str = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";

impl ShownJob<'_> {
    /// Appends its entry; `address` is where it is found. What has its default value is left out, as in traffic, and so
    /// is every list without a member: clients fail over an empty one.
    pub fn entry(&self, out: &mut String, address: &str) {
        let updated = super::registration::seconds(self.updated);
        out.extend(["<entry xmlns=\"", ATOM, "\">"]);
        push(out, "id", address);
        out.extend(["<title type=\"text\">", &xml::escaped(self.id), "</title>"]);
        push(out, "published", &super::registration::seconds(self.created));
        push(out, "updated", &updated);
        out.extend(["<link rel=\"self\" href=\"", &xml::escaped(address), "\"/><content type=\"application/xml\">"]);
        out.extend(["<NotificationHubJob xmlns=\"", CONNECT, "\" xmlns:i=\"", INSTANCE, "\">"]);
        push(out, "JobId", self.id);
        if self.progress > 0.0 {
            push(out, "Progress", &format!("{:.2}", self.progress));
        }
        push(out, "Type", self.request.kind.word());
        if self.status != JobStatus::Started {
            push(out, "Status", self.status.word());
        }
        push(out, "OutputContainerUri", &self.request.output);
        if let Some(input) = &self.request.input {
            push(out, "ImportFileUri", input);
        }
        if let Some(failure) = self.failure {
            push(out, "Failure", failure);
        }
        let paths = [("OutputFilePath", self.output_path), ("FailedFilePath", self.failed_path)];
        let mut paths = paths.into_iter().filter_map(|(key, path)| path.map(|path| (key, path))).peekable();
        if paths.peek().is_some() {
            // Clients look for this very prefix.
            out.extend(["<OutputProperties xmlns:d3p1=\"", ARRAYS, "\">"]);
            for (key, path) in paths {
                out.push_str("<d3p1:KeyValueOfstringstring>");
                push(out, "d3p1:Key", key);
                push(out, "d3p1:Value", path);
                out.push_str("</d3p1:KeyValueOfstringstring>");
            }
            out.push_str("</OutputProperties>");
        }
        push(out, "CreatedAt", &self.created.to_string());
        push(out, "UpdatedAt", &self.updated.to_string());
        out.push_str("</NotificationHubJob></content></entry>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(elements: &str) -> Result<JobRequest, FieldError> {
        let document = format!(
            "<entry xmlns=\"{ATOM}\"><content type=\"application/xml\"><NotificationHubJob xmlns=\"{CONNECT}\">{elements}\
             </NotificationHubJob></content></entry>"
        );
        JobRequest::read(document.as_bytes())
    }

    #[test]
    fn requests_name_what_they_lack() {
        let output = "<OutputContainerUri><![CDATA[https://acct.example/out?sv=1&sig=2]]></OutputContainerUri>";
        let input = "<ImportFileUri><![CDATA[https://acct.example/in.txt?sv=1]]></ImportFileUri>";
        for (kind, word) in JobKind::WORDS {
            let request = read(&format!("<Type>{word}</Type>{output}{input}")).unwrap();
            assert_eq!((request.kind, request.output.as_str()), (kind, "https://acct.example/out?sv=1&sig=2"));
            assert_eq!(request.input.is_some(), kind.is_import());
            assert_eq!(kind.word(), word);
        }
        for (elements, field) in [
            (String::new(), "Type"),
            (format!("<Type>Other</Type>{output}"), "Type"),
            ("<Type>ExportRegistrations</Type>".to_owned(), "OutputContainerUri"),
            (format!("<Type>ImportUpsertRegistrations</Type>{output}"), "ImportFileUri"),
        ] {
            assert_eq!(read(&elements).unwrap_err().field, field, "{elements}");
        }
        assert_eq!(JobRequest::read(b"<entry/>").unwrap_err().field, "content");
        assert!(!format!("{:?}", read(&format!("<Type>ExportRegistrations</Type>{output}"))).contains("sig"));
    }

    #[test]
    fn entries_leave_out_defaults_and_keep_the_prefix() {
        let request = JobRequest { kind: JobKind::Export, output: "https://a/b?c=1&d=2".to_owned(), input: None };
        let (created, updated) = (Timestamp::from_millis(0), Timestamp::from_millis(1_000));
        let job = ShownJob {
            id: "j1",
            request: &request,
            status: JobStatus::Started,
            progress: 0.0,
            failure: None,
            output_path: None,
            failed_path: None,
            created,
            updated,
        };
        let entry = |job: ShownJob<'_>| {
            let mut out = String::new();
            job.entry(&mut out, "https://h/hub/jobs/j1?api-version=2020-06");
            let (_, inner) = out.split_once("\"><JobId>").unwrap();
            format!("<JobId>{}", inner.strip_suffix("</NotificationHubJob></content></entry>").unwrap())
        };
        let times = "<CreatedAt>1970-01-01T00:00:00.000Z</CreatedAt><UpdatedAt>1970-01-01T00:00:01.000Z</UpdatedAt>";
        let uri = "<OutputContainerUri>https://a/b?c=1&amp;d=2</OutputContainerUri>";
        assert_eq!(entry(job), format!("<JobId>j1</JobId><Type>ExportRegistrations</Type>{uri}{times}"));
        let done = ShownJob {
            status: JobStatus::Completed,
            progress: 100.0,
            output_path: Some("ns//hub1/j1/Output.txt"),
            failed_path: Some("ns//hub1/j1/Failed.txt"),
            ..job
        };
        let expected = format!(
            "<JobId>j1</JobId><Progress>100.00</Progress><Type>ExportRegistrations</Type><Status>Completed</Status>{uri}\
             <OutputProperties xmlns:d3p1=\"{ARRAYS}\"><d3p1:KeyValueOfstringstring><d3p1:Key>OutputFilePath</d3p1:Key>\
             <d3p1:Value>ns//hub1/j1/Output.txt</d3p1:Value></d3p1:KeyValueOfstringstring><d3p1:KeyValueOfstringstring>\
             <d3p1:Key>FailedFilePath</d3p1:Key><d3p1:Value>ns//hub1/j1/Failed.txt</d3p1:Value>\
             </d3p1:KeyValueOfstringstring></OutputProperties>{times}"
        );
        assert_eq!(entry(done), expected);
        let failed = ShownJob { status: JobStatus::Failed, failure: Some("why"), ..job };
        assert!(entry(failed).contains("<Status>Failed</Status>") && entry(failed).contains("<Failure>why</Failure>"));
    }
}
