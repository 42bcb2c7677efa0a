//! Compares types of different names: a field or a method uses another type than before. If the other type reads the
//! bytes of the first one, nothing breaks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Breaking, Check, Level, Note, Rule, enums};
use crate::index::{Index, is_googles, is_map_entry};

/// A use of a type that has another name in the new schema.
#[derive(Debug)]
pub(super) struct Renamed {
    file: String,
    element: String,
    /// The rule to report if the new type does not read the old one.
    rule: Rule,
    what: What,
    old: String,
    new: String,
}

/// What uses the type.
#[derive(Debug)]
pub(super) enum What {
    /// A field, with the change in words.
    Field(String),
    /// The requests of a method.
    Requests,
    /// The replies of a method.
    Replies,
}

impl What {
    fn changed(&self, (old, new): &Pair) -> String {
        let what = match self {
            Self::Field(words) => return words.clone(),
            Self::Requests => "requests",
            Self::Replies => "replies",
        };
        format!("the type of its {what} changed from `{old}` to `{new}`")
    }
}

/// Two names of types, of the old schema and of the new one.
type Pair = (String, String);

/// The change because of which a type does not read another one, if it is one that a rule is about.
type Reason = Option<Breaking>;

/// The pairs that were compared.
#[derive(Debug, Default)]
struct Known {
    reads: BTreeSet<Pair>,
    differs: BTreeMap<Pair, Reason>,
}

impl<'a> Check<'a> {
    pub(super) fn rename(
        &mut self,
        rule: Rule,
        element: &str,
        what: What,
        (old, new): (&str, &str),
    ) {
        let (file, element) = (self.file.clone(), element.to_owned());
        let (old, new) = (old.to_owned(), new.to_owned());
        self.renamed.push(Renamed { file, element, rule, what, old, new });
    }

    /// Reports each use of a type that does not read the one before, and notes the others.
    pub(super) fn renamed(&mut self) {
        let mut known = Known::default();
        // What also is the same the other way round.
        let back = Check::new(self.level, self.new, self.old);
        let (mut forth_deep, mut back_deep) = (Known::default(), Known::default());
        for renamed in std::mem::take(&mut self.renamed) {
            let Renamed { file, element, rule, what, old, new } = renamed;
            self.file = file;
            let pair = (old, new);
            match self.compare(&pair, false, &mut known) {
                Ok(()) if self.is_entry(&pair) => {}
                Ok(()) => {
                    let (old, new) = &pair;
                    let swapped = (new.clone(), old.clone());
                    let same = self.compare(&pair, true, &mut forth_deep).is_ok()
                        && back.compare(&swapped, true, &mut back_deep).is_ok();
                    let message = self.noted(&what, &pair, same);
                    self.notes.push(Note { file: self.file.clone(), element, message });
                }
                Err(why) => {
                    let mut message = what.changed(&pair);
                    if let Some(why) = why {
                        message += &format!("; `{}`: {}", why.element, why.message);
                    }
                    self.report(rule, &element, message);
                }
            }
        }
    }

    /// Whether one of the two is the entry of a map, whose name nobody wrote.
    fn is_entry(&self, (old, new): &Pair) -> bool {
        let is = |index: &Index<'_>, name| {
            index.messages.get(name).is_some_and(|it| is_map_entry(it.item))
        };
        is(self.old, old) || is(self.new, new)
    }

    fn noted(&self, what: &What, (old, new): &Pair, same: bool) -> String {
        let user = match what {
            What::Field(_) => "its type",
            What::Requests => "the type of its requests",
            What::Replies => "the type of its replies",
        };
        let how = if same { "the same" } else { "compatible" };
        let which = match self.level {
            Level::Wire => "the bytes are",
            Level::WireJson => "the bytes and the JSON are",
        };
        format!("{user} is `{new}` now, in place of `{old}`; {which} {how}")
    }

    /// Compares two types and all that they use under different names; with `deep` also what they use under one name,
    /// which is compared elsewhere.
    fn compare(&self, pair: &Pair, deep: bool, known: &mut Known) -> Result<(), Reason> {
        let mut open = vec![pair.clone()];
        // A type may use itself: it is compatible unless something else is not.
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if known.reads.contains(&next) || !seen.insert(next.clone()) {
                continue;
            }
            let found = match known.differs.get(&next) {
                Some(why) => Err(why.clone()),
                None => self.pair(&next, deep),
            };
            match found {
                Ok(used) => open.extend(used),
                Err(why) => {
                    known.differs.insert(pair.clone(), why.clone());
                    return Err(why);
                }
            }
        }
        known.reads.extend(seen);
        Ok(())
    }

    /// Returns the pairs that must be compatible if this one is to be.
    fn pair(&self, (old, new): &Pair, deep: bool) -> Result<Vec<Pair>, Reason> {
        if let (Some(old), Some(new)) = (self.old.enums.get(old), self.new.enums.get(new)) {
            let json =
                self.level == Level::WireJson && (is_googles(old.file) || is_googles(new.file));
            let reads = !json && enums::reads(self.level, old.item, new.item);
            return if reads { Ok(Vec::new()) } else { Err(None) };
        }
        let (Some(before), Some(after)) = (self.old.messages.get(old), self.new.messages.get(new))
        else {
            // The same type that neither schema declares.
            return if old == new { Ok(Vec::new()) } else { Err(None) };
        };
        if self.level == Level::WireJson
            && old != new
            && (has_own_json(self.old, old) || has_own_json(self.new, new))
        {
            return Err(None);
        }
        let mut check = Check::new(self.level, self.old, self.new);
        check.message(old, before, after);
        if let Some(first) = check.found.into_iter().next() {
            return Err(Some(first));
        }
        let mut used: Vec<Pair> =
            check.renamed.into_iter().map(|renamed| (renamed.old, renamed.new)).collect();
        if deep {
            let fields = before.item.field.iter().filter(|field| !field.type_name().is_empty());
            let names = fields.map(|field| field.type_name().trim_start_matches('.').to_owned());
            used.extend(
                names.filter(|name| self.new.has_type(name)).map(|name| (name.clone(), name)),
            );
        }
        Ok(used)
    }
}

/// Whether a message is one of those of `google.protobuf` that are written in JSON in a form of their own.
fn has_own_json(index: &Index<'_>, name: &str) -> bool {
    index.messages.get(name).is_some_and(|it| is_googles(it.file))
        && name != "google.protobuf.Empty"
}
