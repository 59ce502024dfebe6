//! What is carried on of the secrets of earlier plans, within bounds.
//!
//! `net::masks_in_force` asks for it at a reload.

use std::collections::HashSet;

use super::{Form, MOST_BYTES, MOST_FORMS, Mask, Shape};

impl Mask {
    /// What of these secrets is not among those that came after them. Secrets as they are come
    /// first, as far as the bounds of one spec allow.
    pub fn left_of(before: &[Mask], after: &[Mask]) -> Self {
        let mut seen: HashSet<(&str, Shape)> = HashSet::new();
        seen.extend(after.iter().flat_map(|mask| &*mask.forms).map(key));
        let forms = before.iter().flat_map(|mask| &*mask.forms);
        let left: Vec<&Form> = forms.filter(|form| seen.insert(key(form))).collect();
        Room::of_one_spec().taken(left)
    }

    /// Of several masks, as many forms as the bounds of one spec allow; those of the first masks
    /// first.
    pub fn bounded<'m>(masks: impl Iterator<Item = &'m Mask>) -> Vec<Self> {
        let mut room = Room::of_one_spec();
        let within = masks.map(|mask| {
            let needed = Room::needed(&mask.forms);
            if needed.forms <= room.forms && needed.bytes <= room.bytes {
                room.forms -= needed.forms;
                room.bytes -= needed.bytes;
                mask.clone()
            } else {
                room.taken(mask.forms.iter().collect())
            }
        });
        within.collect()
    }
}

fn key(form: &Form) -> (&str, Shape) {
    (form.text.reveal(), form.shape)
}

/// What may be looked for beside what is there already.
struct Room {
    forms: usize,
    bytes: usize,
}

impl Room {
    fn of_one_spec() -> Self {
        Self {
            forms: MOST_FORMS,
            bytes: MOST_BYTES,
        }
    }

    fn needed(forms: &[Form]) -> Self {
        Self {
            forms: forms.len(),
            bytes: forms.iter().map(|form| form.text.reveal().len()).sum(),
        }
    }

    /// As many of these forms as there is room for.
    fn taken(&mut self, mut forms: Vec<&Form>) -> Mask {
        forms.sort_by_key(|form| form.rank);
        forms.retain(|form| {
            let length = form.text.reveal().len();
            let has_room = self.forms > 0 && length <= self.bytes;
            if has_room {
                self.forms -= 1;
                self.bytes -= length;
            }
            has_room
        });
        Mask::of_forms(forms.into_iter().cloned().collect())
    }
}
