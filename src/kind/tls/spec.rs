//! What a tls probe expects, as checked types.

use crate::config::plan::probe::Tls;
use crate::words::Ms;

#[derive(Debug, Clone, Default)]
pub struct TlsProbe {
    pub tls: Tls,
    pub within: Option<Ms>,
}
