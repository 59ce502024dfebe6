//! What changed, in the languages of reports: the rows of "Changed in this period". JSON has the
//! words of [`ChangeOf::as_str`] in every language.

use super::object::ChangeOf;
use super::words::Language;

/// English, Finnish, Dutch, Greek, Chinese (simplified), Uzbek.
#[rustfmt::skip]
fn texts(what: ChangeOf) -> [&'static str; 6] {
    match what {
        ChangeOf::Added => [
            "added", "lisätty", "toegevoegd", "προστέθηκε", "已添加", "qo‘shildi",
        ],
        ChangeOf::BackInService => [
            "back in service", "palautettu käyttöön", "weer in dienst", "ξανά σε υπηρεσία",
            "恢复服务", "xizmatga qaytarildi",
        ],
        ChangeOf::Cadence => [
            "cadence", "mittaustiheys", "meetfrequentie", "ρυθμός μετρήσεων", "测量频率",
            "o‘lchash maromi",
        ],
        ChangeOf::ClockSet => [
            "clock was set", "kelloa siirrettiin", "klok verzet", "το ρολόι ρυθμίστηκε",
            "时钟被调整", "tizim soati o‘zgartirildi",
        ],
        ChangeOf::Combine => [
            "combination of endpoints", "kohteiden yhdistelytapa", "combinatie van eindpunten",
            "συνδυασμός σημείων", "端点组合方式", "nuqtalarni birlashtirish usuli",
        ],
        ChangeOf::Definition => [
            "definition", "määritys", "definitie", "ορισμός", "定义", "ta’rif",
        ],
        ChangeOf::InServiceFrom => [
            "in service from", "käytössä alkaen", "in dienst vanaf", "σε υπηρεσία από",
            "投入服务的时间", "xizmat boshlanishi",
        ],
        ChangeOf::Joined => [
            "joined", "liitetty komponenttiin", "toegevoegd aan onderdeel",
            "εντάχθηκε στο στοιχείο", "加入组件", "komponentga qo‘shildi",
        ],
        ChangeOf::Left => [
            "left", "poistettu komponentista", "verwijderd uit onderdeel",
            "αποχώρησε από το στοιχείο", "离开组件", "komponentdan chiqdi",
        ],
        ChangeOf::Limits => [
            "limits of probes at once", "samanaikaisten mittausten rajat",
            "maximum aantal gelijktijdige metingen", "όρια ταυτόχρονων μετρήσεων",
            "同时测量数上限", "bir vaqtdagi o‘lchovlar chegarasi",
        ],
        ChangeOf::OutOfService => [
            "out of service", "poistettu käytöstä", "buiten dienst", "εκτός υπηρεσίας",
            "停止服务", "xizmatdan chiqarildi",
        ],
        ChangeOf::Terms => [
            "terms recorded after the period started", "ehdot tallennettu vasta kauden alettua",
            "voorwaarden pas na het begin van de periode vastgelegd",
            "οι όροι καταγράφηκαν μετά την έναρξη της περιόδου", "条款在本期开始后才记录",
            "shartlar davr boshlangandan keyin qayd etilgan",
        ],
        ChangeOf::TermsChanged => [
            "terms changed", "ehtoja muutettu", "voorwaarden gewijzigd", "αλλαγή των όρων",
            "条款已更改", "shartlar o‘zgartirildi",
        ],
        ChangeOf::Witnesses => [
            "witnesses", "todistajakohteet", "getuige-eindpunten", "σημεία-μάρτυρες", "见证端点",
            "guvoh nuqtalar",
        ],
    }
}

/// A change as people read it.
pub fn change_in_words(what: ChangeOf, language: Language) -> &'static str {
    texts(what)[language.column()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One more than the last is none.
    const ALL: [ChangeOf; ChangeOf::Witnesses as usize + 1] = [
        ChangeOf::Added,
        ChangeOf::BackInService,
        ChangeOf::Cadence,
        ChangeOf::ClockSet,
        ChangeOf::Combine,
        ChangeOf::Definition,
        ChangeOf::InServiceFrom,
        ChangeOf::Joined,
        ChangeOf::Left,
        ChangeOf::Limits,
        ChangeOf::OutOfService,
        ChangeOf::Terms,
        ChangeOf::TermsChanged,
        ChangeOf::Witnesses,
    ];

    #[test]
    fn each_change_has_a_text_of_its_own_in_each_language_and_none_is_english() {
        for language in Language::ALL {
            for (k, what) in ALL.into_iter().enumerate() {
                let text = change_in_words(what, language);
                assert!(!text.is_empty(), "{what:?} in {language:?}");
                let is_english = text == change_in_words(what, Language::En);
                assert_eq!(is_english, language == Language::En, "{what:?}: {text}");
                let earlier = ALL[..k].iter().map(|e| change_in_words(*e, language));
                assert!(
                    !earlier.into_iter().any(|e| e == text),
                    "{text} appears twice"
                );
                let is_of_the_script = match language {
                    Language::El => text.chars().any(|c| ('\u{370}'..'\u{400}').contains(&c)),
                    Language::Zh => text.chars().all(|c| ('\u{4e00}'..'\u{a000}').contains(&c)),
                    _ => text.chars().all(|c| c < '\u{250}' || c == '‘' || c == '’'),
                };
                assert!(is_of_the_script, "{what:?} in {language:?}: {text}");
            }
        }
    }
}
