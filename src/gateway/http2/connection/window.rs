//! How many requests a connection has open at once: as many as the peer allows, fewer after it refused some.

/// A share of the allowed streams: halved by a refusal, grown again by answers.
#[derive(Debug)]
pub(super) struct Window {
    /// None: as many as are allowed.
    now: Option<usize>,
    answered: usize,
}

impl Window {
    pub(super) const fn open() -> Self {
        Self { now: None, answered: 0 }
    }

    /// How many of `allowed` are to be used.
    pub(super) fn of(&self, allowed: usize) -> usize {
        self.now.map_or(allowed, |now| now.min(allowed))
    }

    /// The peer refused a stream while so many were open.
    pub(super) fn refused(&mut self, open: usize) {
        self.now = Some(self.of(open.max(1)).div_ceil(2));
        self.answered = 0;
    }

    /// A request was answered. A window full of answers makes it an eighth wider; past what is allowed it is forgotten.
    pub(super) fn answered(&mut self, allowed: usize) {
        let Some(now) = self.now else { return };
        self.answered += 1;
        if self.answered >= now {
            self.answered = 0;
            let wider = now + (now / 8).max(1);
            self.now = (wider < allowed).then_some(wider);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_halve_it_and_answers_open_it_again() {
        let mut window = Window::open();
        assert_eq!(window.of(1_000), 1_000);
        window.refused(800);
        assert_eq!(window.of(1_000), 400);
        (0..20).for_each(|_| window.refused(400));
        assert_eq!(window.of(1_000), 1);
        let mut answers = 0;
        while window.of(1_000) < 1_000 {
            window.answered(1_000);
            answers += 1;
        }
        assert!((5_000..15_000).contains(&answers), "{answers}");
        assert_eq!(window.of(5), 5);
    }
}
