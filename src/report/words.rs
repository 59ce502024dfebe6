//! The words of a report in the languages of its readers, and how each writes numbers and dates.

use crate::judgement::sla::contract::DecideBy;
use crate::judgement::sla::evaluation::ContractVerdict;

/// A language of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    En,
    Fi,
    Nl,
    El,
    Zh,
    Uz,
}

impl Language {
    pub const ALL: [Language; 6] = [
        Language::En,
        Language::Fi,
        Language::Nl,
        Language::El,
        Language::Zh,
        Language::Uz,
    ];

    /// BCP 47.
    pub fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Fi => "fi",
            Language::Nl => "nl",
            Language::El => "el",
            Language::Zh => "zh-Hans",
            Language::Uz => "uz",
        }
    }

    pub(super) fn column(self) -> usize {
        self as usize
    }

    /// A decimal as the language writes it.
    pub fn number(self, text: &str) -> String {
        match self {
            Language::En | Language::Zh => text.to_owned(),
            Language::Fi | Language::Nl | Language::El | Language::Uz => text.replacen('.', ",", 1),
        }
    }

    /// An instant `2026-11-10T12:00:00.250Z` as the language writes dates; the time stays UTC.
    pub fn instant(self, text: &str) -> String {
        let (Some(date), Some(time)) = (text.get(..10), text.get(11..)) else {
            return text.to_owned();
        };
        format!("{} {} UTC", self.date(date), time.trim_end_matches('Z'))
    }

    /// Two instants; of one day, the date stands once.
    pub fn between(self, a: &str, b: &str) -> String {
        match (
            a.get(..10).filter(|day| b.get(..10) == Some(*day)),
            a.get(11..),
            b.get(11..),
        ) {
            (Some(day), Some(from), Some(to)) => format!(
                "{} {} … {} UTC",
                self.date(day),
                from.trim_end_matches('Z'),
                to.trim_end_matches('Z')
            ),
            _ => format!("{} … {}", self.instant(a), self.instant(b)),
        }
    }

    /// A date `2026-11-10` as the language writes it.
    pub fn date(self, text: &str) -> String {
        let (Some(year), Some(month), Some(day)) = (text.get(..4), text.get(5..7), text.get(8..10))
        else {
            return text.to_owned();
        };
        let (m, d) = (month.trim_start_matches('0'), day.trim_start_matches('0'));
        match self {
            Language::En => format!("{year}-{month}-{day}"),
            Language::Fi => format!("{d}.{m}.{year}"),
            Language::Nl => format!("{day}-{month}-{year}"),
            Language::El => format!("{day}/{month}/{year}"),
            Language::Zh => format!("{year}年{m}月{d}日"),
            Language::Uz => format!("{day}.{month}.{year}"),
        }
    }
}

/// What a report says. The figures are not words: they come from the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Title,
    Period,
    Objective,
    Issued,
    Provisional,
    SettledUntil,
    Verdict,
    Met,
    Missed,
    Undetermined,
    AllTogether,
    Tenant,
    Availability,
    Between,
    Up,
    Down,
    Unknown,
    NotOver,
    Maintenance,
    ServiceTime,
    Budget,
    BudgetLeft,
    Outages,
    Longest,
    MeanToRecover,
    MeanBetween,
    Endpoint,
    From,
    To,
    Earliest,
    Latest,
    Cause,
    None,
    UnknownTime,
    Reason,
    Refused,
    Admitted,
    Excluded,
    Credit,
    CreditDue,
    CreditOpen,
    OpenBecause,
    LittleMeasured,
    Steps,
    AtBounds,
    HowProbed,
    Interval,
    Timeout,
    Confirmation,
    Seconds,
    Proof,
    Events,
    Signature,
    DayByDay,
    ShortOutages,
    Latency,
    Slots,
    Expected,
    Probed,
    Failed,
    Unconfirmed,
    Unmeasured,
    SlotsMissed,
    StepAvailability,
    StepMissing,
    StepCounted,
    StepBelow,
    UnitsCounted,
    FeeOfDowntime,
    BeforeCap,
    StepCredit,
    PercentagePoints,
    OfTheFee,
    DecidedBy,
    PointEstimate,
    LowerBound,
    UpperBound,
    BudgetExceeded,
    Coverage,
    EachComponent,
    Component,
    Replaces,
    DefinitionChanged,
    FirstFailure,
    LastFailure,
    StepFee,
    StepAmount,
    StepRounded,
    NotRun,
    Config,
    TermsRecorded,
    TermsLater,
    TermsChanged,
    ByLaterTerms,
    TermsNotRecorded,
    Outside,
}

/// English, Finnish, Dutch, Greek, Chinese (simplified), Uzbek.
type Entry = (Word, [&'static str; 6]);

#[rustfmt::skip]
const WORDS: [Entry; 96] = [
    (Word::TermsChanged, [
        "Judged by the terms that were in force before they were changed",
        "Arvioitu ehdoilla, jotka olivat voimassa ennen niiden muuttamista",
        "Beoordeeld naar de voorwaarden die golden voordat ze werden gewijzigd",
        "Κρίνεται με τους όρους που ίσχυαν πριν από την αλλαγή τους", "按条款更改前有效的条款评定",
        "Shartlar o‘zgartirilishidan oldin amalda bo‘lgan shartlar bo‘yicha baholandi",
    ]),
    (Word::ByLaterTerms, [
        "By the later terms", "Myöhempien ehtojen mukaan", "Naar de latere voorwaarden",
        "Με τους μεταγενέστερους όρους", "按更改后的条款", "Keyingi shartlar bo‘yicha",
    ]),
    (Word::Outside, [
        "Outside the service time", "Palveluajan ulkopuolella", "Buiten de servicetijd",
        "Εκτός χρόνου υπηρεσίας", "服务时间之外", "Xizmat vaqtidan tashqari",
    ]),
    (Word::FirstFailure, [
        "first failing measurement (its end)", "ensimmäinen epäonnistunut mittaus (sen loppu)",
        "eerste mislukte meting (einde)", "πρώτη αποτυχημένη μέτρηση (το τέλος της)",
        "首次失败的测量（结束时刻）", "birinchi muvaffaqiyatsiz o'lchov (tugashi)",
    ]),
    (Word::LastFailure, [
        "last failing measurement (its start)", "viimeinen epäonnistunut mittaus (sen alku)",
        "laatste mislukte meting (begin)", "τελευταία αποτυχημένη μέτρηση (η αρχή της)",
        "最后一次失败的测量（开始时刻）", "oxirgi muvaffaqiyatsiz o'lchov (boshlanishi)",
    ]),
    (Word::StepFee, ["fee", "maksu", "vergoeding", "αμοιβή", "费用", "to'lov"]),
    (Word::StepAmount, [
        "credit × fee", "hyvitys × maksu", "creditering × vergoeding", "πίστωση × αμοιβή",
        "赔付 × 费用", "kompensatsiya × to'lov",
    ]),
    (Word::StepRounded, [
        "rounded once, half up", "pyöristetty kerran, puolikas ylöspäin",
        "één keer afgerond, half naar boven", "στρογγυλοποίηση μία φορά, το μισό προς τα πάνω",
        "仅四舍五入一次", "bir marta yaxlitlangan, yarmi yuqoriga",
    ]),
    (Word::NotRun, [
        "not run", "ei ajettu", "niet uitgevoerd", "δεν εκτελέστηκαν", "未执行", "bajarilmagan",
    ]),
    (Word::Config, [
        "Configuration (SHA-256)", "Asetukset (SHA-256)", "Configuratie (SHA-256)",
        "Ρυθμίσεις (SHA-256)", "配置 (SHA-256)", "Sozlamalar (SHA-256)",
    ]),
    (Word::TermsRecorded, [
        "The terms are on record since", "Ehdot on tallennettu alkaen",
        "De voorwaarden zijn vastgelegd sinds", "Οι όροι έχουν καταγραφεί από", "条款记录自",
        "Shartlar qayd etilgan sana",
    ]),
    (Word::TermsLater, [
        "Judged by terms that were recorded after the period began",
        "Arvioitu ehdoilla, jotka tallennettiin vasta kauden alettua",
        "Beoordeeld naar voorwaarden die pas na het begin van de periode zijn vastgelegd",
        "Κρίνεται με όρους που καταγράφηκαν μόνο μετά την έναρξη της περιόδου", "按本期开始后才记录的条款评定",
        "Davr boshlangandan keyingina qayd etilgan shartlar bo‘yicha baholandi",
    ]),
    (Word::TermsNotRecorded, [
        "The terms are not on record: they are what the signer says",
        "Ehtoja ei ole tallennettu: ne ovat allekirjoittajan ilmoittamat",
        "De voorwaarden zijn niet vastgelegd: ze zijn wat de ondertekenaar zegt",
        "Οι όροι δεν έχουν καταγραφεί: είναι όσα δηλώνει ο υπογράφων", "条款未被记录：以签署人所述为准",
        "Shartlar qayd etilmagan: ular imzolovchi aytganidek",
    ]),
    (Word::DefinitionChanged, [
        "Changed in this period", "Muuttunut tällä kaudella", "Gewijzigd in deze periode",
        "Άλλαξαν σε αυτή την περίοδο", "本期内的更改", "Bu davrda o‘zgarganlar",
    ]),
    (Word::EachComponent, [
        "Each component by itself", "Kukin komponentti erikseen", "Elk onderdeel afzonderlijk",
        "Κάθε στοιχείο ξεχωριστά", "各组件单独统计", "Har bir komponent alohida",
    ]),
    (Word::Component, ["Component", "Komponentti", "Onderdeel", "Στοιχείο", "组件", "Komponent"]),
    (Word::Replaces, [
        "Replaces the report with the signature", "Korvaa raportin, jonka allekirjoitus on",
        "Vervangt het rapport met de handtekening", "Αντικαθιστά την αναφορά με την υπογραφή",
        "取代签名如下的报告", "Quyidagi imzoli hisobotni almashtiradi",
    ]),
    (Word::Title, [
        "Availability report", "Saatavuusraportti", "Beschikbaarheidsrapport",
        "Αναφορά διαθεσιμότητας", "可用性报告", "Mavjudlik hisoboti",
    ]),
    (Word::Period, ["Period", "Jakso", "Periode", "Περίοδος", "期间", "Davr"]),
    (Word::Objective, ["Objective", "Tavoite", "Doelstelling", "Στόχος", "目标", "Maqsad"]),
    (Word::Issued, ["Issued", "Annettu", "Uitgegeven", "Εκδόθηκε", "签发时间", "Berilgan"]),
    (Word::Provisional, [
        "PROVISIONAL: the period is not settled to its end.",
        "ALUSTAVA: jaksoa ei ole vahvistettu loppuun asti.",
        "VOORLOPIG: de periode is nog niet tot het einde vastgesteld.",
        "ΠΡΟΣΩΡΙΝΗ: η περίοδος δεν έχει οριστικοποιηθεί ως το τέλος της.", "临时报告：该期间尚未全部确定。",
        "DASTLABKI: davr oxirigacha tasdiqlanmagan.",
    ]),
    (Word::SettledUntil, [
        "Settled until", "Vahvistettu asti", "Vastgesteld tot", "Οριστικό έως", "已确定至",
        "Tasdiqlangan muddat",
    ]),
    (Word::Verdict, ["Verdict", "Ratkaisu", "Oordeel", "Κρίση", "结论", "Xulosa"]),
    (Word::Met, ["met", "täyttyi", "gehaald", "επιτεύχθηκε", "达标", "bajarildi"]),
    (Word::Missed, [
        "missed", "ei täyttynyt", "niet gehaald", "δεν επιτεύχθηκε", "未达标", "bajarilmadi",
    ]),
    (Word::Undetermined, [
        "undetermined", "ratkaisematon", "onbepaald", "απροσδιόριστο", "无法判定", "aniqlanmagan",
    ]),
    (Word::AllTogether, [
        "All together", "Kaikki yhdessä", "Alles samen", "Όλα μαζί", "整体", "Hammasi birga",
    ]),
    (Word::Tenant, ["Customer", "Asiakas", "Klant", "Πελάτης", "客户", "Mijoz"]),
    (Word::Availability, [
        "Availability", "Saatavuus", "Beschikbaarheid", "Διαθεσιμότητα", "可用性", "Mavjudlik",
    ]),
    (Word::Between, [
        "between the bounds", "rajojen välissä", "tussen de grenzen", "μεταξύ των ορίων", "上下界之间",
        "chegaralar orasida",
    ]),
    (Word::Up, ["Up", "Ylhäällä", "Bereikbaar", "Σε λειτουργία", "正常", "Ishlagan"]),
    (Word::Down, ["Down", "Alhaalla", "Onbereikbaar", "Εκτός λειτουργίας", "故障", "Ishlamagan"]),
    (Word::Unknown, ["Unknown", "Tuntematon", "Onbekend", "Άγνωστο", "未知", "Noma'lum"]),
    (Word::NotOver, [
        "Not over yet", "Ei vielä kulunut", "Nog niet voorbij", "Δεν έχει παρέλθει", "尚未到来",
        "Hali tugamagan",
    ]),
    (Word::Maintenance, [
        "Admitted maintenance", "Hyväksytty huolto", "Toegestaan onderhoud", "Αποδεκτή συντήρηση",
        "认可的维护", "Qabul qilingan texnik ishlar",
    ]),
    (Word::ServiceTime, [
        "Service time", "Palveluaika", "Servicetijd", "Χρόνος υπηρεσίας", "服务时间", "Xizmat vaqti",
    ]),
    (Word::Budget, [
        "Error budget", "Virhebudjetti", "Foutbudget", "Περιθώριο σφάλματος", "错误预算",
        "Xatolik byudjeti",
    ]),
    (Word::BudgetLeft, [
        "left of it", "siitä jäljellä", "daarvan over", "απομένει", "剩余", "undan qolgani",
    ]),
    (Word::Outages, ["Outages", "Katkot", "Storingen", "Διακοπές", "故障记录", "Uzilishlar"]),
    (Word::Longest, ["Longest", "Pisin", "Langste", "Μεγαλύτερη", "最长", "Eng uzuni"]),
    (Word::MeanToRecover, [
        "Mean time to recover", "Keskimääräinen toipumisaika", "Gemiddelde hersteltijd",
        "Μέσος χρόνος αποκατάστασης", "平均恢复时间", "O'rtacha tiklanish vaqti",
    ]),
    (Word::MeanBetween, [
        "Mean time between failures", "Keskimääräinen vikaväli", "Gemiddelde tijd tussen storingen",
        "Μέσος χρόνος μεταξύ βλαβών", "平均故障间隔", "Uzilishlar orasidagi o'rtacha vaqt",
    ]),
    (Word::Endpoint, ["Endpoint", "Kohde", "Eindpunt", "Σημείο", "端点", "Nuqta"]),
    (Word::From, ["From", "Alku", "Van", "Από", "开始", "Boshlanishi"]),
    (Word::To, ["To", "Loppu", "Tot", "Έως", "结束", "Tugashi"]),
    (Word::Earliest, ["earliest", "aikaisintaan", "op zijn vroegst", "νωρίτερα", "最早", "eng erta"]),
    (Word::Latest, ["latest", "viimeistään", "op zijn laatst", "αργότερα", "最晚", "eng kech"]),
    (Word::Cause, ["Cause", "Syy", "Oorzaak", "Αιτία", "原因", "Sabab"]),
    (Word::None, ["none", "ei yhtään", "geen", "καμία", "无", "yo'q"]),
    (Word::UnknownTime, [
        "Unknown time", "Tuntematon aika", "Onbekende tijd", "Άγνωστος χρόνος", "未知时间",
        "Noma'lum vaqt",
    ]),
    (Word::Reason, ["Reason", "Peruste", "Reden", "Λόγος", "理由", "Asos"]),
    (Word::Refused, [
        "Maintenance that the contract refuses", "Huolto, jota sopimus ei hyväksy",
        "Onderhoud dat het contract weigert", "Συντήρηση που δεν δέχεται η σύμβαση", "合同不认可的维护",
        "Shartnoma qabul qilmagan texnik ishlar",
    ]),
    (Word::Admitted, [
        "Maintenance that the contract admits", "Huolto, jonka sopimus hyväksyy",
        "Onderhoud dat het contract toestaat", "Συντήρηση που δέχεται η σύμβαση", "合同认可的维护",
        "Shartnoma qabul qilgan texnik ishlar",
    ]),
    (Word::Excluded, [
        "Excluded by correction", "Oikaisulla poistettu", "Uitgesloten door correctie",
        "Εξαιρέθηκε με διόρθωση", "经更正排除", "Tuzatish bilan chiqarilgan",
    ]),
    (Word::Credit, ["Credit", "Hyvitys", "Creditering", "Πίστωση", "赔付", "Kompensatsiya"]),
    (Word::CreditDue, [
        "Credit due", "Maksettava hyvitys", "Verschuldigde creditering", "Οφειλόμενη πίστωση",
        "应付赔付", "To'lanadigan kompensatsiya",
    ]),
    (Word::CreditOpen, [
        "No credit is decided yet", "Hyvitystä ei ole vielä ratkaistu",
        "Nog geen creditering bepaald", "Δεν έχει κριθεί ακόμη πίστωση", "赔付尚未确定",
        "Kompensatsiya hali hal qilinmagan",
    ]),
    (Word::OpenBecause, ["open", "avoinna", "open", "ανοιχτό", "未定", "ochiq"]),
    (Word::LittleMeasured, [
        "Less than half of the service time was measured", "Palveluajasta mitattiin alle puolet",
        "Minder dan de helft van de servicetijd is gemeten",
        "Μετρήθηκε λιγότερο από τον μισό χρόνο υπηρεσίας", "服务时间中只有不到一半得到测量",
        "Xizmat vaqtining yarmidan kami o'lchangan",
    ]),
    (Word::Steps, [
        "How it is computed", "Laskutapa", "Berekening", "Υπολογισμός", "计算过程", "Hisoblash tartibi",
    ]),
    (Word::AtBounds, [
        "at the bounds", "rajoilla", "aan de grenzen", "στα όρια", "在上下界", "chegaralarda",
    ]),
    (Word::HowProbed, [
        "How it was probed", "Mittaustapa", "Hoe gemeten is", "Τρόπος μέτρησης", "测量方式",
        "O'lchash usuli",
    ]),
    (Word::Interval, ["Interval", "Väli", "Interval", "Διάστημα", "间隔", "Oraliq"]),
    (Word::Timeout, ["Timeout", "Aikakatkaisu", "Time-out", "Όριο χρόνου", "超时", "Kutish muddati"]),
    (Word::Confirmation, [
        "Failures that confirm", "Vahvistavat virheet", "Bevestigende fouten",
        "Αποτυχίες επιβεβαίωσης", "确认所需失败次数", "Tasdiqlovchi xatolar",
    ]),
    (Word::Seconds, ["s", "s", "s", "δ", "秒", "s"]),
    (Word::Proof, ["Proof", "Todiste", "Bewijs", "Απόδειξη", "证明", "Dalil"]),
    (Word::Events, ["Events", "Tapahtumat", "Gebeurtenissen", "Συμβάντα", "事件", "Hodisalar"]),
    (Word::Signature, ["Signature", "Allekirjoitus", "Handtekening", "Υπογραφή", "签名", "Imzo"]),
    (Word::DayByDay, [
        "Day by day, as recorded (maintenance included)",
        "Päivittäin, kuten tallennettu (huolto mukana)",
        "Per dag, zoals vastgelegd (met onderhoud)",
        "Ανά ημέρα, όπως καταγράφηκε (με τη συντήρηση)", "逐日记录（含维护）",
        "Kunma-kun, qayd etilganidek (texnik ishlar bilan)",
    ]),
    (Word::ShortOutages, [
        "Outages between two probes that are shorter than this are not seen",
        "Tätä lyhyempiä katkoja kahden mittauksen välissä ei nähdä",
        "Storingen tussen twee metingen die korter zijn dan dit worden niet gezien",
        "Διακοπές μεταξύ δύο μετρήσεων μικρότερες από αυτό δεν φαίνονται", "两次探测之间短于此的故障无法被发现",
        "Ikki o'lchov orasidagi bundan qisqa uzilishlar ko'rinmaydi",
    ]),
    (Word::Latency, [
        "Latency", "Vasteaika", "Responstijd", "Χρόνος απόκρισης", "响应时间", "Javob vaqti",
    ]),
    (Word::Slots, [
        "Measurements on schedule (hours kept)", "Aikataulun mittaukset (säilytetyt tunnit)",
        "Metingen volgens schema (bewaarde uren)",
        "Προγραμματισμένες μετρήσεις (ώρες που διατηρούνται)", "按计划的测量（保留的小时）",
        "Jadval bo'yicha o'lchovlar (saqlangan soatlar)",
    ]),
    (Word::Expected, ["expected", "odotettu", "verwacht", "αναμενόμενες", "应有", "kutilgan"]),
    (Word::Probed, ["measured", "mitattu", "gemeten", "μετρημένες", "已测", "o'lchangan"]),
    (Word::Failed, ["failed", "epäonnistui", "mislukt", "αποτυχημένες", "失败", "muvaffaqiyatsiz"]),
    (Word::Unconfirmed, [
        "unconfirmed", "vahvistamatta", "onbevestigd", "μη επιβεβαιωμένες", "未确认", "tasdiqlanmagan",
    ]),
    (Word::Unmeasured, [
        "unmeasured", "mittaamatta", "niet gemeten", "μη μετρημένες", "未能测量", "o'lchanmagan",
    ]),
    (Word::SlotsMissed, [
        "left out", "väliin jäänyt", "overgeslagen", "παραλειφθείσες", "遗漏", "o'tkazib yuborilgan",
    ]),
    (Word::StepAvailability, [
        "availability", "saatavuus", "beschikbaarheid", "διαθεσιμότητα", "可用性", "mavjudlik",
    ]),
    (Word::StepMissing, ["missing", "puuttuu", "ontbreekt", "υπολείπεται", "差额", "yetishmaydi"]),
    (Word::StepCounted, [
        "steps counted", "laskettuja portaita", "getelde stappen", "βήματα που μετρούν", "计入的级数",
        "hisoblangan pog'onalar",
    ]),
    (Word::StepBelow, [
        "below the tier", "alle portaan", "onder de trede", "κάτω από το κλιμάκιο", "低于档位",
        "pog'onadan past",
    ]),
    (Word::UnitsCounted, [
        "units counted", "laskettuja yksiköitä", "getelde eenheden", "μονάδες που μετρούν",
        "计入的单位数", "hisoblangan birliklar",
    ]),
    (Word::FeeOfDowntime, [
        "fee of the downtime", "katkoajan maksu", "vergoeding over de uitvaltijd",
        "αμοιβή του χρόνου διακοπής", "故障时间对应的费用", "ishlamagan vaqt haqi",
    ]),
    (Word::BeforeCap, [
        "credit before the cap", "hyvitys ennen ylärajaa", "creditering vóór het maximum",
        "πίστωση πριν από το ανώτατο όριο", "封顶前的赔付", "chegaradan oldingi kompensatsiya",
    ]),
    (Word::StepCredit, ["credit", "hyvitys", "creditering", "πίστωση", "赔付", "kompensatsiya"]),
    (Word::PercentagePoints, [
        "percentage points", "prosenttiyksikköä", "procentpunten", "ποσοστιαίες μονάδες", "个百分点",
        "foiz punkti",
    ]),
    (Word::OfTheFee, [
        "% of the fee", "% maksusta", "% van de vergoeding", "% της αμοιβής", "%（费用）",
        "% to'lovdan",
    ]),
    (Word::DecidedBy, ["decided by", "ratkaisee", "bepaald door", "κρίνεται από", "依据", "asos"]),
    (Word::PointEstimate, [
        "the point estimate", "piste-estimaatti", "de puntschatting", "τη σημειακή εκτίμηση", "点估计",
        "nuqtaviy baho",
    ]),
    (Word::LowerBound, [
        "the lower bound", "alaraja", "de ondergrens", "το κάτω όριο", "下界", "quyi chegara",
    ]),
    (Word::UpperBound, [
        "the upper bound", "yläraja", "de bovengrens", "το άνω όριο", "上界", "yuqori chegara",
    ]),
    (Word::BudgetExceeded, [
        "exceeded by", "ylitetty", "overschreden met", "υπέρβαση κατά", "超出", "oshib ketgan",
    ]),
    (Word::Coverage, [
        "Measured share of the service time", "Mitattu osuus palveluajasta",
        "Gemeten deel van de servicetijd", "Μετρημένο μέρος του χρόνου υπηρεσίας", "服务时间中已测量的比例",
        "Xizmat vaqtining o'lchangan ulushi",
    ]),
];

impl Word {
    /// The word in a language.
    pub fn say(self, language: Language) -> &'static str {
        WORDS
            .iter()
            .find(|(word, _)| *word == self)
            .map_or("", |(_, texts)| texts[language.column()])
    }

    /// The name of a line of a credit's arithmetic.
    pub fn of_step(what: &str) -> Option<Word> {
        Some(match what {
            "availability" => Word::StepAvailability,
            "missing" => Word::StepMissing,
            "steps counted" => Word::StepCounted,
            "below" => Word::StepBelow,
            "units counted" => Word::UnitsCounted,
            "fee of the downtime" => Word::FeeOfDowntime,
            "credit before the cap" => Word::BeforeCap,
            "credit" => Word::StepCredit,
            "fee" => Word::StepFee,
            "credit of the fee" => Word::StepAmount,
            "rounded half up" => Word::StepRounded,
            _ => return None,
        })
    }

    /// The unit of such a line.
    pub fn of_unit(unit: &str) -> Option<Word> {
        match unit {
            "percentage points" => Some(Word::PercentagePoints),
            "% of the fee" => Some(Word::OfTheFee),
            _ => None,
        }
    }

    /// The figure that decides a credit.
    pub fn of_decision(by: DecideBy) -> Word {
        match by {
            DecideBy::Point => Word::PointEstimate,
            DecideBy::Lower => Word::LowerBound,
            DecideBy::Upper => Word::UpperBound,
        }
    }

    pub fn of_verdict(verdict: ContractVerdict) -> Word {
        match verdict {
            ContractVerdict::Met => Word::Met,
            ContractVerdict::Missed => Word::Missed,
            ContractVerdict::Undetermined => Word::Undetermined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_in_every_language_once() {
        for (k, (word, texts)) in WORDS.iter().enumerate() {
            assert!(texts.iter().all(|t| !t.is_empty()), "{word:?}");
            assert!(
                !WORDS[..k].iter().any(|(earlier, _)| earlier == word),
                "{word:?} stands twice"
            );
        }
        for language in Language::ALL {
            assert!(!Word::ShortOutages.say(language).is_empty());
        }
    }

    #[test]
    fn numbers_and_dates_are_written_as_at_home() {
        assert_eq!(Language::Fi.number("99.999"), "99,999");
        assert_eq!(Language::Zh.number("99.999"), "99.999");
        assert_eq!(
            Language::Fi.instant("2026-11-05T12:00:00Z"),
            "5.11.2026 12:00:00 UTC"
        );
        assert_eq!(
            Language::Nl.instant("2026-11-05T12:00:00.250Z"),
            "05-11-2026 12:00:00.250 UTC"
        );
        assert_eq!(
            Language::Zh.instant("2026-11-05T12:00:00Z"),
            "2026年11月5日 12:00:00 UTC"
        );
        assert_eq!(
            Language::Fi.between("2026-11-05T12:00:00Z", "2026-11-05T12:01:00.5Z"),
            "5.11.2026 12:00:00 … 12:01:00.5 UTC"
        );
        assert_eq!(
            Language::En.between("2026-11-05T23:59:00Z", "2026-11-06T00:01:00Z"),
            "2026-11-05 23:59:00 UTC … 2026-11-06 00:01:00 UTC"
        );
    }
}
