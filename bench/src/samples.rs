//! Samples of one peer, and their medians.

/// Samples of one peer.
pub(crate) struct Samples<S>(Vec<S>);

impl<S> Default for Samples<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> Samples<S> {
    /// Takes one more.
    pub(crate) fn add(&mut self, sample: S) {
        self.0.push(sample);
    }

    /// The median of one figure; `None` where there are no samples.
    pub(crate) fn median<T: Ord>(&self, figure: impl Fn(&S) -> T) -> Option<T> {
        let mut figures: Vec<_> = self.0.iter().map(figure).collect();
        figures.sort_unstable();
        let middle = figures.len() / 2;
        figures.into_iter().nth(middle)
    }
}
