//! Scopes and what they imply, closed once at load.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use indexmap::IndexMap;

use crate::config::{Scope, ScopeSection};

/// A scope implies itself, over others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scope \"{}\" implies itself ({}); remove one `implies`", .0.first().map_or("", |scope| scope), .0.join(" → "))]
pub struct ScopeCycle(pub Vec<String>);

/// For each scope, the scopes that carry it: itself and those that imply it, directly or not.
#[derive(Debug, Clone, Default)]
pub struct Implications {
    carriers: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Implications {
    /// Close the `implies` of `[scopes]`.
    ///
    /// # Errors
    /// When a scope implies itself over others.
    pub fn close(sections: &IndexMap<Scope, ScopeSection>) -> Result<Self, ScopeCycle> {
        let implied: HashMap<&str, Vec<&Scope>> =
            sections.iter().map(|(scope, section)| (scope.as_str(), section.implies.iter().collect())).collect();
        let mut carriers: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
        for scope in sections.keys() {
            let mut reached = Vec::new();
            walk(scope.as_str(), &implied, &mut Vec::new(), &mut HashSet::new(), &mut reached)?;
            for target in reached {
                carriers.entry(target.into()).or_default().push(scope.shared());
            }
        }
        Ok(Self { carriers })
    }

    /// The scopes that carry `scope`, itself included.
    fn carriers(&self, scope: &Scope) -> Arc<[Arc<str>]> {
        self.carriers
            .get(scope.as_str())
            .map_or_else(|| Arc::from([scope.shared()]), |carriers| carriers.as_slice().into())
    }

    /// Whether holding `holder` includes `scope`.
    pub fn includes(&self, holder: &str, scope: &str) -> bool {
        holder == scope
            || self.carriers.get(scope).is_some_and(|carriers| carriers.iter().any(|carrier| &**carrier == holder))
    }
}

fn walk<'a>(
    scope: &'a str,
    implied: &HashMap<&'a str, Vec<&'a Scope>>,
    path: &mut Vec<&'a str>,
    seen: &mut HashSet<&'a str>,
    reached: &mut Vec<&'a str>,
) -> Result<(), ScopeCycle> {
    if let Some(start) = path.iter().position(|step| *step == scope) {
        let cycle = path[start..].iter().chain([&scope]).map(|step| (*step).to_owned()).collect();
        return Err(ScopeCycle(cycle));
    }
    if !seen.insert(scope) {
        return Ok(());
    }
    reached.push(scope);
    path.push(scope);
    for next in implied.get(scope).into_iter().flatten() {
        walk(next.as_str(), implied, path, seen, reached)?;
    }
    path.pop();
    Ok(())
}

/// The scopes that an operation needs, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    scopes: Arc<[Arc<str>]>,
    carriers: Arc<[Arc<[Arc<str>]>]>,
}

impl Requirement {
    /// All of `scopes`, each carried by itself or by a scope that implies it.
    pub fn new(scopes: &[Scope], implications: &Implications) -> Self {
        Self {
            scopes: scopes.iter().map(Scope::shared).collect(),
            carriers: scopes.iter().map(|scope| implications.carriers(scope)).collect(),
        }
    }

    /// The scopes, in the order of the configuration.
    pub fn scopes(&self) -> &Arc<[Arc<str>]> {
        &self.scopes
    }

    /// Whether `granted` meets it.
    pub fn met_by(&self, granted: &[Arc<str>]) -> bool {
        self.carriers.iter().all(|carriers| carriers.iter().any(|carrier| granted.contains(carrier)))
    }

    /// The scopes that `granted` lacks.
    pub fn missing_from(&self, granted: &[Arc<str>]) -> Vec<Arc<str>> {
        let lacks = |carriers: &&Arc<[Arc<str>]>| !carriers.iter().any(|carrier| granted.contains(carrier));
        self.scopes
            .iter()
            .zip(self.carriers.iter())
            .filter(|(_, carriers)| lacks(carriers))
            .map(|(scope, _)| Arc::clone(scope))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sections(edges: &[(&str, &[&str])]) -> IndexMap<Scope, ScopeSection> {
        edges
            .iter()
            .map(|(scope, implies)| {
                let implies = implies.iter().map(|scope| scope.parse().unwrap()).collect();
                (scope.parse().unwrap(), ScopeSection { description: String::new(), implies })
            })
            .collect()
    }

    fn scopes(names: &[&str]) -> Vec<Scope> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn granted(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn implication_is_transitive_and_one_way() {
        let closed = Implications::close(&sections(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])).unwrap();
        let needs_c = Requirement::new(&scopes(&["c"]), &closed);
        assert!(needs_c.met_by(&granted(&["a"])));
        let needs_a = Requirement::new(&scopes(&["a"]), &closed);
        assert!(!needs_a.met_by(&granted(&["b", "c"])));
        assert_eq!(needs_a.missing_from(&granted(&["b"])), granted(&["a"]));
    }

    #[test]
    fn a_cycle_is_refused_with_its_way() {
        let cycle = Implications::close(&sections(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])])).unwrap_err();
        assert_eq!(cycle.to_string(), "the scope \"a\" implies itself (a → b → c → a); remove one `implies`");
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        let closed = Implications::close(&sections(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]));
        assert!(closed.unwrap().includes("a", "d"));
    }

    #[test]
    fn no_scopes_required_is_met_by_none_granted() {
        assert!(Requirement::default().met_by(&[]));
    }

    fn small_set() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0..8usize, 0..8)
    }

    proptest! {
        /// Against a plain reading of the rule: expand what is granted until nothing is added, then compare sets.
        #[test]
        fn met_exactly_when_the_expansion_of_the_granted_holds_the_required(
            edges in prop::collection::vec((0..8usize, 0..8usize), 0..16),
            required in small_set(),
            held in small_set(),
        ) {
            let name = |n: usize| format!("s{n}");
            // Only downward edges, so there is no cycle.
            let section = |n: usize| {
                let implies = edges.iter().filter(|(from, to)| *from == n && to < from).map(|(_, to)| name(*to).parse().unwrap());
                ScopeSection { description: String::new(), implies: implies.collect() }
            };
            let sections: IndexMap<Scope, ScopeSection> = (0..8).map(|n| (name(n).parse().unwrap(), section(n))).collect();
            let requirement = Requirement::new(
                &required.iter().map(|n| name(*n).parse().unwrap()).collect::<Vec<_>>(),
                &Implications::close(&sections).unwrap(),
            );
            let mut expanded: HashSet<usize> = held.iter().copied().collect();
            loop {
                let more: Vec<usize> = edges.iter().filter(|(from, to)| to < from && expanded.contains(from)).map(|(_, to)| *to).collect();
                let before = expanded.len();
                expanded.extend(more);
                if expanded.len() == before { break }
            }
            let held: Vec<Arc<str>> = held.iter().map(|n| name(*n).into()).collect();
            let lacking: Vec<usize> = required.iter().copied().filter(|n| !expanded.contains(n)).collect();
            prop_assert_eq!(requirement.met_by(&held), lacking.is_empty());
            let missing: Vec<String> = requirement.missing_from(&held).iter().map(ToString::to_string).collect();
            prop_assert_eq!(missing, lacking.into_iter().map(name).collect::<Vec<_>>());
        }
    }
}
