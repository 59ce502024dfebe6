//! A contract as it was agreed: every choice a named field. Built once by the config floor, not
//! wrong afterwards.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::calendar::{NoPeriod, PeriodKind, ServiceHours, current_and_previous, day_of, period};
use super::exact::Exact;
use crate::judgement::timeline::Span;
use crate::words::{Ms, Name, UtcMs};

/// How several components are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Together {
    Each,
    Series,
    Parallel,
    /// Shares that sum to one, in the order of the components.
    Weighted(Vec<Exact>),
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    Time,
    /// A slice of the clock is down as a whole when its probes say so.
    Slices {
        length: Ms,
        down_if: DownIf,
    },
    /// The mean over slices of the share of failed probes; `no_probe` where a slice has none.
    MeanErrorRatio {
        length: Ms,
        no_probe: Exact,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownIf {
    AllFail,
    AnyFail,
    ErrorRatioAbove(Exact),
}

/// What unknown time is taken for in the point estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    Exclude,
    Up,
    Down,
}

/// Which of the three figures decides the credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecideBy {
    Point,
    Lower,
    Upper,
}

impl DecideBy {
    pub const ALL: [DecideBy; 3] = [DecideBy::Point, DecideBy::Lower, DecideBy::Upper];

    pub fn as_str(self) -> &'static str {
        match self {
            DecideBy::Point => "point",
            DecideBy::Lower => "lower",
            DecideBy::Upper => "upper",
        }
    }
}

/// Time of a period before a component was in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeInService {
    Exclude,
    AsUp,
}

/// Outages shorter than `length` do not count; the rest counts whole, or in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinOutage {
    pub length: Ms,
    pub whole_minutes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treat {
    Exclude,
    AsUp,
    Count,
}

/// Which time must precede a window by the notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    Recorded,
    Claimed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceRules {
    pub treat: Treat,
    pub notice: Option<Ms>,
    pub allowance: Option<Ms>,
    pub announcement: Announcement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    ProRata,
    Started,
    Full,
}

impl Rounding {
    pub const WORDS: [(&'static str, Rounding); 3] = [
        ("pro_rata", Rounding::ProRata),
        ("started", Rounding::Started),
        ("full", Rounding::Full),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasuredFrom {
    Target,
    Hundred,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    PerOutage,
    Period,
}

/// How a credit follows from what was missed. Percentages as exact numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    Linear {
        step: Exact,
        per_step: Exact,
        rounding: Rounding,
        measured_from: MeasuredFrom,
    },
    /// (below this percentage, this credit), descending.
    Tiers(Vec<(Exact, Exact)>),
    PerDowntime {
        unit: Ms,
        per_unit: Exact,
        rounding: Rounding,
        aggregate: Aggregate,
    },
    /// This many times the fee of the downtime.
    Multiple(Exact),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    pub model: Model,
    /// Percent of the fee; 100 unless the contract says more.
    pub cap: Exact,
}

/// An objective for latency: this share of probes answered within this long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyObjective {
    /// Percent.
    pub share: Exact,
    pub within_us: u64,
}

/// One version of a contract.
#[derive(Debug, Clone)]
pub struct Contract {
    pub name: Name,
    /// Percent.
    pub objective: Exact,
    pub period: PeriodKind,
    pub zone: TimeZone,
    pub components: Vec<Name>,
    pub together: Together,
    pub measure: Measure,
    pub unknown: Unknown,
    pub decide_by: DecideBy,
    /// Percent of the service time that must have been measured.
    pub min_coverage: Option<Exact>,
    pub valid_from: Option<Date>,
    pub before_in_service: BeforeInService,
    pub min_outage: MinOutage,
    pub fee: Option<Exact>,
    pub currency: Option<String>,
    pub service_hours: Option<ServiceHours>,
    pub maintenance: MaintenanceRules,
    pub credit: Option<Credit>,
    pub latency: Option<LatencyObjective>,
}

impl Contract {
    /// Its components and those that only a tenant of it has, each once.
    pub fn all_components(&self, tenants: &[Tenant]) -> Vec<Name> {
        let mut all = self.components.clone();
        all.extend(
            tenants
                .iter()
                .filter(|t| t.sla == self.name)
                .flat_map(|t| t.components.clone()),
        );
        all.sort();
        all.dedup();
        all
    }

    /// Each component by itself, always in service, by time, without a credit: the figures that
    /// every component has, contract or not.
    pub fn of_each(components: Vec<Name>, zone: TimeZone) -> Option<Self> {
        Some(Self {
            name: Name::new("components").ok()?,
            objective: Exact::from_integer(100.into()),
            period: PeriodKind::CalendarMonth,
            zone,
            components,
            together: Together::Each,
            measure: Measure::Time,
            unknown: Unknown::Exclude,
            decide_by: DecideBy::Point,
            min_coverage: None,
            valid_from: None,
            before_in_service: BeforeInService::Exclude,
            min_outage: MinOutage::default(),
            fee: None,
            currency: None,
            service_hours: None,
            maintenance: MaintenanceRules {
                treat: Treat::Count,
                notice: None,
                allowance: None,
                announcement: Announcement::Recorded,
            },
            credit: None,
            latency: None,
        })
    }

    /// Each of its components by itself, by the rules of this contract.
    pub fn by_component(&self, components: Vec<Name>) -> Self {
        Self {
            components,
            together: Together::Each,
            fee: None,
            credit: None,
            ..self.clone()
        }
    }
}

/// Who is owed the credit of a contract, on a fee of its own.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub name: Name,
    pub sla: Name,
    pub components: Vec<Name>,
    pub fee: Exact,
    pub from: Option<Date>,
    pub to: Option<Date>,
}

/// All contracts and tenants of a config or of a file of their own.
#[derive(Debug, Clone, Default)]
pub struct Contracts {
    /// Versions of a name stand together, in the order of `valid_from`.
    pub list: Vec<Contract>,
    pub tenants: Vec<Tenant>,
}

impl Contracts {
    /// The names of all contracts, each once.
    pub fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.list.iter().map(|c| c.name.clone()).collect();
        names.dedup();
        names
    }

    /// Whether any contract counts slices at all.
    pub fn count_slices(&self) -> bool {
        self.list.iter().any(|c| c.measure != Measure::Time)
    }

    /// Whether any contract, for itself or for a tenant, counts slices of this component by its
    /// probes.
    pub fn count_slices_of(&self, component: &Name) -> bool {
        let by_slices: Vec<&Contract> = self
            .list
            .iter()
            .filter(|c| c.measure != Measure::Time)
            .collect();
        by_slices.iter().any(|c| c.components.contains(component))
            || self.tenants.iter().any(|t| {
                t.components.contains(component) && by_slices.iter().any(|c| c.name == t.sla)
            })
    }

    /// The version in force when a period begins that its own text names, and that period; the
    /// error is that of the first version.
    pub fn version_of(
        &self,
        name: &Name,
        text: &str,
    ) -> Result<Option<(&Contract, Span)>, NoPeriod> {
        let mut first = Ok(None);
        for contract in self.list.iter().filter(|c| c.name == *name) {
            match period(contract.period, &contract.zone, text) {
                Ok(span) => {
                    if self
                        .in_force(name, day_of(span.from, &contract.zone))
                        .is_some_and(|c| std::ptr::eq(c, contract))
                    {
                        return Ok(Some((contract, span)));
                    }
                }
                Err(error) if first.is_ok() => first = Err(error),
                Err(_) => {}
            }
        }
        // A version that has such periods exists, and none is in force then.
        let is_period = self
            .list
            .iter()
            .any(|c| c.name == *name && period(c.period, &c.zone, text).is_ok());
        if is_period { Ok(None) } else { first }
    }

    /// The present period and the one before, each with the version that is in force when it
    /// begins.
    pub fn present(&self, name: &Name, now: UtcMs) -> Vec<(&Contract, String, Span, &'static str)> {
        let mut list = Vec::new();
        for (which, place) in [("current", 0), ("previous", 1)] {
            let found = self
                .list
                .iter()
                .rev()
                .filter(|c| c.name == *name)
                .find_map(|contract| {
                    let (text, span) = current_and_previous(contract.period, &contract.zone, now)
                        .into_iter()
                        .nth(place)?;
                    let is_it = self
                        .in_force(name, day_of(span.from, &contract.zone))
                        .is_some_and(|c| std::ptr::eq(c, contract));
                    is_it.then_some((contract, text, span, which))
                });
            list.extend(found);
        }
        list
    }

    /// Each contract that is in force with its period that has not ended.
    pub fn running(&self, now: UtcMs) -> impl Iterator<Item = (&Contract, Span)> {
        let names = self.names().into_iter();
        names
            .filter_map(move |name| {
                self.present(&name, now)
                    .into_iter()
                    .find(|(.., which)| *which == "current")
            })
            .map(|(contract, _, period, _)| (contract, period))
    }

    /// The version in force on a day: the latest that is valid from that day or earlier.
    pub fn in_force(&self, name: &Name, day: Date) -> Option<&Contract> {
        self.list
            .iter()
            .rfind(|c| c.name == *name && c.valid_from.is_none_or(|from| from <= day))
    }
}
