//! What the daemon asks of the engine while it runs, and what a plan and its endpoints come with.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::config::plan::{Endpoint, Plan};
use crate::engine::board::Entry;
use crate::engine::recorder::definitions::Definitions;
use crate::engine::scheduler::InFlightLimits;
use crate::history::Registration;
use crate::history::event::Event;
use crate::judgement::maintenance::Window;
use crate::judgement::rules::Cadence;
use crate::judgement::state::Judge;
use crate::words::{Digest, Name, UtcMs};

/// What the daemon asks of the engine while it runs.
pub enum EngineCommand {
    Reload {
        plan: Box<NewPlan>,
        reply: oneshot::Sender<ReloadSummary>,
    },
    /// Something to be recorded; answered once it is committed.
    Record {
        request: RecordRequest,
        reply: RecordReply,
    },
    End {
        reply: oneshot::Sender<()>,
    },
}

/// A plan that takes the place of the one in force, compared with it already.
pub struct NewPlan {
    pub plan: Arc<Plan>,
    /// New and changed endpoints.
    pub endpoints: Vec<Arrival>,
    pub leaving: Vec<Name>,
    /// What is on the board already, in the order of the plan; nothing where an endpoint is new.
    pub shown: Vec<Option<Arc<Entry>>>,
    pub unchanged: usize,
    pub limits: InFlightLimits,
    pub definitions: Definitions,
}

/// Gets the moment of the record, once it is committed.
pub type RecordReply = oneshot::Sender<Result<UtcMs, String>>;

/// What people ask to be recorded.
pub enum RecordRequest {
    DeclareWindow {
        window: Window,
        by: String,
    },
    EndWindow {
        id: Name,
        by: String,
    },
    /// An annotation or an exclusion.
    Correct(Box<Event>),
}

/// An endpoint that the history has registered.
pub struct Arrival {
    pub endpoint: Arc<Endpoint>,
    pub id: i64,
    /// As the history restored it; `None` when it is new or runs already.
    pub judge: Option<Judge>,
    /// The cadence that the history stored with it.
    pub cadence: Option<Cadence>,
    pub digest_before: Option<Digest>,
    pub was_in_service: bool,
    pub renamed: bool,
    /// The component it had before, if it is another now.
    pub component_before: Option<String>,
    /// What the history must yet record of it.
    pub news: Option<Registration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReloadSummary {
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
    pub unchanged: usize,
}

impl std::fmt::Display for ReloadSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "reloaded: {} endpoints added, {} removed, {} changed, {} unchanged",
            self.added, self.removed, self.changed, self.unchanged
        )
    }
}
