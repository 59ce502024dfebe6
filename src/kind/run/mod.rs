//! One probe from start to outcome, whatever its kind: bounded in time, never failing, never
//! counting.
//!
//! The engine calls [`run`]; it gets back a [`ProbeReport`].

pub mod charset;
pub mod coding;
pub mod cost;
pub mod expect;
pub mod expensive_patterns;
pub mod json;
pub mod search;
pub mod work;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use self::work::Work;
use super::Probe;
use crate::config::document::secret::mask::Mask;
use crate::config::plan::Endpoint;
use crate::net::clock::Clock;
use crate::net::peer;
use crate::net::probe_error::ProbeError;
use crate::net::shared::Net;
use crate::net::trace::{Stage, Trace};
use crate::words::{Cause, CertificateFacts, Facts, Ms, Outcome, PhaseTimes, Reason};

/// An endpoint that was kept waiting by us for more than this part of its timeout, and did not get
/// that back, is not down by it.
const KEPT_SHARE: u64 = 20;

/// How much longer an answer that came in time may be judged.
const JUDGING_GRACE: Duration = Duration::from_secs(1);

/// Processor time in which the texts of one probe are looked through for secrets. A peer can give
/// its certificate a hundred names in which that takes seconds.
const MASKING: Duration = Duration::from_millis(250);
const UNSEARCHED: &str = "(not shown: it takes too long to look for secrets in it)";

/// What one probe found and how long it took.
#[derive(Debug, Clone)]
pub struct ProbeReport {
    pub outcome: Outcome,
    pub phases: PhaseTimes,
    /// From the start of the probe to the last thing the endpoint did, in microseconds.
    pub duration_us: u64,
    /// CLOCK_BOOTTIME at which the probe began, in nanoseconds.
    pub started_ns: u64,
    /// How much longer than its timeout it was given: the endpoint was kept waiting by us, or what
    /// came in time was being checked, in processor time.
    pub given_ms: Ms,
    /// CLOCK_BOOTTIME at which the outcome stood, in nanoseconds: what is done to its texts after
    /// that takes none of the endpoint's time.
    pub stood_ns: u64,
}

/// Probes once. Ends within the endpoint's timeout and some milliseconds, whatever happens. Time in
/// which the endpoint was kept waiting by us is given back to it, up to a second; what was answered
/// in time may be judged for another second.
pub async fn run(net: &Net, endpoint: &Endpoint) -> ProbeReport {
    let trace = Trace::begin().of(endpoint.host());
    let timeout = endpoint.rules.cadence.timeout;
    let deadline = Instant::now() + Duration::from_millis(timeout);
    let (ended, until) = {
        // It ends here, with its place among those that judge: nobody asks it for more.
        let probe = pin!(by_kind(net, &trace, endpoint, deadline));
        ended_by(&trace, probe, deadline).await
    };
    let stage = trace.stage();
    let is_over = ended.is_none();
    let moved_ms = (until - deadline).as_millis() as Ms;
    trace.enter(Stage::Idle);
    let mut err = match ended {
        Some(result) => held_to_the_timeout(&trace, result, timeout).err(),
        None => Some(timed_out(&trace, stage, timeout, moved_ms)),
    };
    let stood_ns = Clock::Real.boot_ns();
    let mut facts = Box::new(trace.facts.take());
    texts(&mut facts, &mut err).into_iter().for_each(cut);
    // The servers may have been sent more since it began, by others.
    let mask = {
        let led_to = trace.led_to.borrow();
        let hosts = [endpoint.host()].into_iter();
        let hosts = hosts.chain(led_to.iter().map(String::as_str));
        net.masks.also_of(&endpoint.mask, hosts)
    };
    if !mask.is_empty() {
        if is_scrubbed_at_once(&mask, &mut facts, &mut err) {
            scrub(&mask, &mut facts, &mut err);
        } else {
            // Few are looked through apart: the future of all others stays small.
            let apart = scrubbed_apart((net, &trace), &mask, facts, err);
            (facts, err) = Box::pin(apart).await;
        }
    }
    // An endpoint that let its time pass took all of it, whatever it did meanwhile.
    let least_us = if is_over { timeout * 1000 } else { 0 };
    let outcome = match err {
        None => Outcome::Success(facts),
        Some(ProbeError::Down(cause, detail)) => Outcome::Failure {
            cause,
            detail,
            facts,
        },
        Some(ProbeError::Unmeasured(reason, detail)) => Outcome::Unmeasured { reason, detail },
    };
    ProbeReport {
        outcome,
        phases: trace.phases(),
        duration_us: trace.duration_us().max(least_us),
        started_ns: trace.started_ns,
        given_ms: moved_ms + trace.checked_after(until).as_millis() as Ms,
        stood_ns,
    }
}

/// Runs a probe until it ends or its time is over, and says until when it was given time: the
/// deadline moves while the endpoint is kept waiting by us.
async fn ended_by<P: Future<Output = Result<(), ProbeError>>>(
    trace: &Trace,
    mut probe: Pin<&mut P>,
    deadline: Instant,
) -> (Option<Result<(), ProbeError>>, Instant) {
    let mut until = deadline;
    loop {
        if let Ok(result) = timeout_at(until, &mut probe).await {
            return (Some(result), until);
        }
        if is_being_judged(trace)
            && let Some(result) = judged(trace, probe.as_mut(), until + JUDGING_GRACE).await
        {
            return (Some(result), until);
        }
        if is_being_judged(trace) || trace.moved(deadline) <= until {
            return (None, until);
        }
        until = trace.moved(deadline);
    }
}

/// What became of a probe that ended: an answer later than the timeout is none.
fn held_to_the_timeout(
    trace: &Trace,
    result: Result<(), ProbeError>,
    timeout: Ms,
) -> Result<(), ProbeError> {
    // Where we stood still, an answer and the timeout are both there when we look; the kernel's
    // stamps say which came first.
    let took_us = trace.duration_us();
    // A dialogue that ended at the timeout says what was heard until then.
    let says_so = matches!(
        result,
        Err(ProbeError::Unmeasured(..) | ProbeError::Down(Cause::ExpectTimeout, _))
    );
    if took_us <= timeout * 1000 || says_so {
        return result;
    }
    Err(ProbeError::down(
        trace.last_stage().timeout_cause(),
        format!(
            "the answer came after {} ms, later than the timeout",
            took_us / 1000
        ),
    ))
}

/// Why a probe did not end in time: it was the prober's own doing, or the endpoint let its time
/// pass in this stage.
fn timed_out(trace: &Trace, stage: Stage, timeout: Ms, moved_ms: Ms) -> ProbeError {
    if stage == Stage::Judging || trace.is_looked_at.get() {
        return ProbeError::unmeasured(
            Reason::Late,
            format!(
                "the prober did not finish reading and checking the answer within {timeout} ms: it \
                    was busy or waited for memory"
            ),
        );
    }
    if trace.kept_ms().saturating_sub(moved_ms) > timeout / KEPT_SHARE {
        return ProbeError::unmeasured(
            Reason::Late,
            format!(
                "the prober delayed this probe for {} of its {timeout} ms while it waited for \
                    memory",
                trace.kept_ms()
            ),
        );
    }
    let why = peer::unfinished(trace, stage, timeout)
        .unwrap_or_else(|| format!("timed out after {timeout} ms"));
    ProbeError::down(stage.timeout_cause(), why)
}

/// Whether all that is left to do is the prober's own: what the endpoint said in time.
fn is_being_judged(trace: &Trace) -> bool {
    trace.is_looked_at.get() || trace.stage() == Stage::Judging && trace.is_answered.get()
}

/// What came in time is judged, however close to the timeout: else whoever answers could choose
/// that it is not. Nothing where the probe would go on, or where the time to judge is over, too.
async fn judged<P: Future<Output = Result<(), ProbeError>>>(
    trace: &Trace,
    mut probe: Pin<&mut P>,
    until: Instant,
) -> Option<Result<(), ProbeError>> {
    let judged = std::future::poll_fn(|cx| match probe.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if is_being_judged(trace) => Poll::Pending,
        // A dialogue would go on.
        Poll::Pending => Poll::Ready(None),
    });
    timeout_at(until, judged).await.ok().flatten()
}

/// Characters of a text that a peer had a hand in.
const SHOWN: usize = 1000;

fn cut(text: &mut String) {
    // Most texts are ASCII, and an answer of a name server may have hundreds of long ones.
    let is_plain = text.as_bytes().get(..=SHOWN).is_some_and(<[u8]>::is_ascii);
    let at = if is_plain {
        Some(SHOWN)
    } else {
        text.char_indices().nth(SHOWN).map(|(at, _)| at)
    };
    if let Some(at) = at {
        text.truncate(at);
        text.push('…');
    }
}

/// The texts that a peer had a hand in, but for those of its certificate, which are bounded by
/// themselves. Each field is named, so that a new one is looked at.
fn texts<'f>(facts: &'f mut Facts, err: &'f mut Option<ProbeError>) -> Vec<&'f mut String> {
    let Facts {
        address: _,
        attempts,
        http_status: _,
        http_version: _,
        final_url,
        redirects: _,
        body_bytes: _,
        tls_version: _,
        tls_cipher: _,
        tls_group: _,
        certificate: _,
        dns_rcode,
        dns_answers,
        icmp_hop_limit: _,
        tcp_rtt_us: _,
        findings,
    } = facts;
    let attempts = attempts
        .iter_mut()
        .filter_map(|attempt| attempt.error.as_mut());
    let dns = dns_rcode.iter_mut().chain(dns_answers);
    let details = err.iter_mut().map(|err| match err {
        ProbeError::Down(_, detail) | ProbeError::Unmeasured(_, detail) => detail,
    });
    attempts
        .chain(final_url.iter_mut())
        .chain(dns)
        .chain(findings.iter_mut().map(|finding| &mut finding.found))
        .chain(details)
        .collect()
}

/// Whether it takes no longer than may be taken on the probing thread.
fn is_scrubbed_at_once(mask: &Mask, facts: &mut Facts, err: &mut Option<ProbeError>) -> bool {
    let of_certificate = facts
        .certificate
        .as_ref()
        .filter(|certificate| !mask.has_seen(certificate))
        .map_or(0, |certificate| cost_of_names(mask, certificate));
    let of_texts = cost::sum(texts(facts, err).into_iter().map(|text| mask.cost_ns(text)));
    cost::is_small(of_texts.saturating_add(of_certificate))
}

/// An endpoint may give back what it was sent, and then let its time pass. What takes long to look
/// through is looked through apart, on a thread of its host.
async fn scrubbed_apart(
    (net, trace): (&Net, &Trace),
    mask: &Mask,
    mut facts: Box<Facts>,
    mut err: Option<ProbeError>,
) -> (Box<Facts>, Option<ProbeError>) {
    let mask = mask.clone();
    let thread = net.judging_threads.one_for(trace.whose.get()).await;
    let scrubbed = cost::apart(&thread, trace, move || {
        scrub(&mask, &mut facts, &mut err);
        (facts, err)
    });
    scrubbed
        .await
        .unwrap_or_else(|own| (Box::default(), Some(own)))
}

/// A text that there is no time left for is not shown.
fn scrub(mask: &Mask, facts: &mut Facts, err: &mut Option<ProbeError>) {
    let work = Work::of(MASKING, Arc::default());
    let masked = |text: String| {
        if work.goes_on_now() {
            mask.apply(text)
        } else {
            UNSEARCHED.to_owned()
        }
    };
    texts(facts, err)
        .into_iter()
        .for_each(|text| *text = masked(std::mem::take(text)));
    if let Some(certificate) = facts
        .certificate
        .as_mut()
        .filter(|certificate| !mask.has_seen(certificate))
    {
        masked_names(mask, certificate, masked);
    }
}

/// Signs of escapes in a name of a certificate, beyond which it is not looked through: no DNS name
/// has one, a URI has some, and what a peer has made of them alone takes long.
const SIGNS: usize = 16;

fn has_too_many_signs(name: &str) -> bool {
    let is_sign = |byte: &u8| matches!(byte, b'%' | b'\\' | b'&' | b'/');
    name.bytes().filter(|byte| is_sign(byte)).count() > SIGNS
}

fn cost_of_names(mask: &Mask, certificate: &CertificateFacts) -> u64 {
    cost::sum(
        certificate
            .texts()
            .filter(|name| !has_too_many_signs(name))
            .map(|name| mask.cost_ns(name)),
    )
}

/// The facts of a certificate are shared by all probes that met it; a copy is made where they hold
/// a secret.
fn masked_names(
    mask: &Mask,
    certificate: &mut Arc<CertificateFacts>,
    masked: impl Fn(String) -> String,
) {
    let of = |name: &String| {
        if has_too_many_signs(name) {
            UNSEARCHED.to_owned()
        } else {
            masked(name.clone())
        }
    };
    let mut shown = CertificateFacts::clone(certificate);
    shown.subject = of(&certificate.subject);
    shown.issuer = of(&certificate.issuer);
    shown.names = certificate.names.iter().map(of).collect();
    for sent in &mut shown.sent {
        sent.subject = of(&sent.subject);
        sent.issuer = of(&sent.issuer);
    }
    if shown == **certificate {
        mask.see(certificate);
    } else {
        *certificate = Arc::new(shown);
    }
}

/// What runs a probe of each kind of the list.
macro_rules! by_kind {
    ($($kind:ident $folder:ident $target:ident,)*) => {
        async fn by_kind(
            net: &Net,
            trace: &Trace,
            endpoint: &Endpoint,
            deadline: Instant,
        ) -> Result<(), ProbeError> {
            let dial = &*endpoint.dial;
            match &endpoint.probe {
                $(Probe::$kind(target) => {
                    crate::kind::$folder::run::probe(net, trace, dial, target, deadline).await
                })*
            }
        }
    };
}

kinds!(by_kind);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::secret::{MASK, Secret};
    use crate::config::{OneText, load};
    use crate::words::SentCertificate;
    use std::path::Path;

    #[test]
    fn a_probe_in_flight_is_small_before_it_reads() {
        let plan = load(
            Path::new("one"),
            &OneText("[[endpoint]]\nname = \"e\"\nprobe.http = \"http://127.0.0.1/\"\n"),
        )
        .expect("valid");
        let net = Net::default();
        let size = size_of_val(&run(&net, &plan.endpoints[0]));
        assert!(size <= 4096, "{size} bytes");
    }

    #[test]
    fn names_of_a_certificate_that_are_made_of_escapes_are_not_looked_through() {
        let (odd, usual) = ("%25".repeat(80), "spiffe://shop.example/ns/a/sa/b");
        assert!(has_too_many_signs(&odd) && !has_too_many_signs(usual));
        let mask = Mask::of(vec![Secret::new("token-of-the-test".to_owned())]);
        let certificate = CertificateFacts {
            names: vec![odd; 100],
            ..CertificateFacts::default()
        };
        assert!(cost::is_small(cost_of_names(&mask, &certificate)));
        let mut shown = Arc::new(certificate);
        masked_names(&mask, &mut shown, |name| name);
        assert!(shown.names.iter().all(|name| name == UNSEARCHED));
    }

    #[test]
    fn a_secret_in_a_certificate_beside_the_leaf_is_masked_whatever_came_with_it_before() {
        let mask = Mask::of(vec![Secret::new("token-of-the-test".to_owned())]);
        let shown = |subject: &str| {
            let beside = SentCertificate {
                subject: subject.to_owned(),
                issuer: "CN=Root".to_owned(),
                not_after: 0,
            };
            let certificate = CertificateFacts {
                sha256: "of the same leaf".to_owned(),
                sent: vec![beside],
                ..CertificateFacts::default()
            };
            let mut facts = Facts {
                certificate: Some(Arc::new(certificate)),
                ..Facts::default()
            };
            scrub(&mask, &mut facts, &mut None);
            let sent = &facts.certificate.expect("as before").sent[0];
            (sent.subject.clone(), sent.issuer.clone())
        };
        let root = "CN=Root".to_owned();
        assert_eq!(shown("CN=Middle"), ("CN=Middle".to_owned(), root.clone()));
        let masked = shown("CN=token-of-the-test");
        assert_eq!(masked, (format!("CN={MASK}"), root));
    }
}
