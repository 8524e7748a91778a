//! Who takes part in a run: nodes by number, API nodes first, and what each may have in flight.
use super::link::owner::NodeNo;
use crate::service::Role;

/// The nodes of a run.
#[derive(Clone, Debug)]
pub struct Cast {
    roles: Vec<Role>,
    credit: u64,
}

impl Cast {
    /// One node that does everything.
    pub fn alone(credit: u64) -> Self {
        Self { roles: vec![Role::All], credit }
    }

    /// `credit`: devices that a sending node may have handed over and not recorded.
    pub fn of(api: usize, workers: usize, credit: u64) -> Self {
        let roles = std::iter::repeat_n(Role::Api, api).chain(std::iter::repeat_n(Role::Worker, workers));
        Self { roles: roles.collect(), credit }
    }

    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn credit(&self) -> u64 {
        self.credit
    }

    /// How many nodes send.
    pub fn senders(&self) -> usize {
        self.numbers(|role| role != Role::Api).count()
    }

    pub fn sends(&self, node: NodeNo) -> bool {
        self.roles.get(node).is_some_and(|role| *role != Role::Api)
    }

    /// The numbers of the nodes that take requests.
    pub fn doors(&self) -> Vec<NodeNo> {
        self.numbers(|role| role != Role::Worker).collect()
    }

    pub fn workers(&self) -> Vec<NodeNo> {
        self.numbers(|role| role != Role::Api).collect()
    }

    fn numbers(&self, of: impl Fn(Role) -> bool) -> impl Iterator<Item = NodeNo> {
        self.roles.iter().enumerate().filter(move |(_, role)| of(**role)).map(|(number, _)| number)
    }

    /// `worker 2`
    pub fn name(&self, node: NodeNo) -> String {
        let Some(role) = self.roles.get(node).copied() else { return format!("node {node}") };
        let before = self.roles.iter().take(node).filter(|other| **other == role).count();
        match role {
            Role::All => "the node".to_owned(),
            Role::Api | Role::Worker => format!("{} {}", role.word(), before + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_names_and_duties() {
        let cast = Cast::of(2, 3, 10);
        assert_eq!((cast.name(1), cast.name(4)), ("api 2".to_owned(), "worker 3".to_owned()));
        assert_eq!((cast.doors(), cast.workers(), cast.senders()), (vec![0, 1], vec![2, 3, 4], 3));
        assert!(!cast.sends(0) && cast.sends(2) && !cast.sends(9));
        let alone = Cast::alone(10);
        assert_eq!((alone.doors(), alone.workers()), (vec![0], vec![0]));
    }
}
