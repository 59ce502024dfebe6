//! The http kind: request, redirects, response, expectations; HTTP/1.1 and HTTP/2, plain and over
//! TLS.

mod hop;
mod judge;
mod notes;
mod print;
mod read;
mod redirect;
mod request;
pub mod run;
pub mod spec;

use std::sync::Arc;

use self::spec::Http;
use super::target::{Note, ProbeTarget, toml};
use crate::config::document::address::http_url_with_zone;
use crate::config::document::secret::MaybeSecret;
use crate::config::document::secret::mask::Mask;
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::document::zone::into_url;
use crate::config::plan::probe::Tls;
use url::Url;

/// A URL with everything about its request.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    pub url: Arc<Url>,
    /// Belongs to the host of the URL, which cannot hold it.
    pub zone: Option<Arc<str>>,
    pub spec: Arc<Http>,
}

impl ProbeTarget for HttpTarget {
    type Spec = Http;

    const ADDRESS_KEY: &'static str = "url";
    const SCHEMES: &'static [&'static str] = &["http", "https"];
    const USAGE: &'static str = "http://, https://";
    const OPTIONS: &'static [&'static str] =
        &["--header", "--request", "--data", "--ca-file", "--insecure"];
    const LEADS_ELSEWHERE: bool = true;

    fn lines(scheme: &str, rest: &str) -> String {
        format!("probe.http.url = {}", toml(&format!("{scheme}://{rest}")))
    }

    fn read(layers: &Layers, inputs: &dyn ConfigInputs) -> Http {
        read::spec(layers, inputs)
    }

    fn aimed(spec: Arc<Http>, text: &str, at: &Item) -> Option<Self> {
        let (url, zone) = http_url_with_zone(text, at)?;
        Some(Self {
            url: Arc::new(url),
            zone,
            spec,
        })
    }

    fn print(&self, out: &mut String) {
        print::print(out, &self.shown(), &self.spec);
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn shown(&self) -> String {
        into_url(&self.url, self.zone.as_deref())
    }

    fn digested(&self) -> String {
        format!("http {} {:?}", self.url, self.spec)
    }

    fn mask(&self) -> Option<&Mask> {
        Some(&self.spec.mask)
    }

    fn without_secrets(&self) -> Self {
        if !self.spec.has_secrets() {
            return self.clone();
        }
        let is_plain = |(_, value): &(String, MaybeSecret)| matches!(value, MaybeSecret::Plain(_));
        let headers = self.spec.headers.iter().filter(|header| is_plain(header));
        let spec = Http {
            headers: headers.cloned().collect(),
            query: Vec::new(),
            body: None,
            auth: None,
            mask: Mask::default(),
            tls: self.spec.tls.without_identity(),
            ..Http::clone(&self.spec)
        };
        Self {
            spec: Arc::new(spec),
            ..self.clone()
        }
    }

    fn zone(&self) -> Option<&Arc<str>> {
        self.zone.as_ref()
    }

    fn tls(&self) -> Option<&Tls> {
        Some(&self.spec.tls)
    }

    fn is_secured(&self) -> bool {
        self.url.scheme() == "https"
    }

    fn notes(&self) -> Vec<Note> {
        notes::notes(&self.url, &self.spec)
    }
}
