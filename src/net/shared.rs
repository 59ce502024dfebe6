//! What the probes of one thread share: resolver, certificate facts, prepared TLS specs, echo
//! sockets.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use socket2::{Domain, Socket, Type};

use super::authorities::Authorities;
use super::body_memory::BodyMemory;
use super::certificate::Certificates;
use super::clock_trust::ClockTrust;
use super::echo::Echoes;
use super::judging_threads::JudgingThreads;
use super::masks_in_force::MasksInForce;
use super::origin::HopOrigin;
use super::pins::Pins;
use super::resolve::{Paths, Resolver};
use super::sys;
use super::tls_spec::{self, Prepared};
use crate::config::plan::probe::Tls;

/// What an answer is held against once it has failed an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailure {
    /// Nothing that costs more: the cause is known. Bodies are not decoded.
    #[default]
    Stop,
    /// Everything, for a person who looks at one probe.
    GoOn,
}

/// Not `Send`: each probing thread has its own.
pub struct Net {
    pub resolver: Resolver,
    pub pins: Pins,
    pub certificates: Certificates,
    pub echoes: Echoes,
    pub authorities: Arc<Authorities>,
    pub clock: Arc<ClockTrust>,
    /// What is masked at the end of each probe.
    pub masks: Arc<MasksInForce>,
    pub memory: BodyMemory,
    pub judging_threads: JudgingThreads,
    pub after_failure: AfterFailure,
    /// Asks for stamps and receives nothing: the kernel stamps only while a socket asks, and to
    /// begin and end that with every probe would change its code each time.
    _stamping: Option<Socket>,
    /// By the address of the spec, which is kept alive beside it, and for whom.
    prepared: RefCell<HashMap<(usize, HopOrigin), PreparedSpec>>,
}

/// A spec with what was made of it, or why that failed.
struct PreparedSpec {
    _spec: Arc<dyn Any>,
    /// Of the authorities that it was made with.
    generation: u64,
    made: Result<Arc<Prepared>, String>,
}

/// Handshakes need random numbers. The source of this thread is filled at its first use; the first
/// of a process then gathers noise for tens of milliseconds, which are no time of an endpoint.
fn fill_random_source() {
    // Where there is none, each handshake fails and says so.
    let _ = aws_lc_rs::rand::fill(&mut [0]);
}

impl Default for Net {
    fn default() -> Self {
        Self::new(
            Paths::default(),
            Authorities::of_the_system(),
            Arc::default(),
        )
    }
}

impl Net {
    pub fn new(paths: Paths, authorities: Arc<Authorities>, clock: Arc<ClockTrust>) -> Self {
        let stamping = [Domain::IPV4, Domain::IPV6]
            .into_iter()
            .find_map(|domain| Socket::new(domain, Type::DGRAM.cloexec(), None).ok());
        if let Some(socket) = &stamping {
            sys::stamp_arrivals(socket.as_fd());
        }
        fill_random_source();
        let (resolver, certificates) = (Resolver::new(paths), Certificates::default());
        let (echoes, memory) = (Echoes::default(), BodyMemory::default());
        Self {
            resolver,
            pins: Pins::default(),
            certificates,
            echoes,
            authorities,
            clock,
            masks: Arc::default(),
            memory,
            judging_threads: JudgingThreads::default(),
            after_failure: AfterFailure::Stop,
            _stamping: stamping,
            prepared: RefCell::default(),
        }
    }

    /// `tls`: what of the spec belongs to such an origin; `alpn`: what it offers.
    pub fn tls_of<S: 'static>(
        &self,
        spec: &Arc<S>,
        origin: HopOrigin,
        tls: &Tls,
        alpn: &[&[u8]],
    ) -> Result<Arc<Prepared>, String> {
        let key = (Arc::as_ptr(spec) as usize, origin);
        let mut prepared = self.prepared.borrow_mut();
        let generation = self.authorities.generation();
        if let Some(known) = prepared
            .get(&key)
            .filter(|known| known.generation == generation)
        {
            return known.made.clone();
        }
        let roots = tls.ca.as_ref().map_or_else(
            || self.authorities.system(),
            |file| self.authorities.of_file(file),
        );
        let made = tls_spec::prepare(tls, roots, alpn).map(Arc::new);
        prepared.insert(
            key,
            PreparedSpec {
                _spec: spec.clone(),
                generation,
                made: made.clone(),
            },
        );
        made
    }

    /// Forgets prepared specs; a reload may have dropped them.
    pub fn forget_specs(&self) {
        self.prepared.borrow_mut().clear();
    }
}
