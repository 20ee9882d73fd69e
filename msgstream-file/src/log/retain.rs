//! Removing what isn't kept any longer: whole segments.

use super::bounds::Bounds;
use super::{Held, Log, Rules, outside};
use crate::error::{Result, failed};
use crate::format::published::Published;
use crate::planted::{Bug, planted};

impl Log {
    /// Removes the segments that the rules don't keep.
    pub(super) fn retain(
        &self,
        held: &Held,
        published: &mut Published,
        rules: &Rules,
    ) -> Result<()> {
        if rules.max_bytes.is_none() && rules.max_age.is_none() {
            return Ok(());
        }
        let segments: Vec<_> =
            self.segments()?.into_iter().filter(|first| *first <= published.segment).collect();
        let mut keep = segments.first().copied().unwrap_or(published.segment);
        if let Some(most) = rules.max_bytes {
            let mut bytes = 0;
            for first in segments.iter().rev() {
                let path = self.segment_path(*first);
                bytes += self.disk.length(&path).map_err(failed("measure", &path))?;
                if bytes > most && *first != published.segment {
                    break;
                }
                keep = *first;
            }
        }
        if let Some(age) = rules.max_age {
            let oldest = self.disk.now().saturating_sub(age.as_millis() as u64);
            for pair in segments.windows(2) {
                let &[_, following] = pair else { break };
                // The next segment says when the last frame of this one was appended.
                if self.header(following)?.time >= oldest {
                    break;
                }
                keep = keep.max(following);
            }
        }
        self.remove_before(held, published, keep)
    }

    /// Removes the segments that hold nothing at or after an offset, but not the one that is
    /// written.
    ///
    /// # Errors
    /// Fails if the offset is beyond the end of the log, and removes nothing.
    pub(crate) fn trim(&self, held: &Held, before: u64) -> Result<()> {
        let mut published = self.recover(held)?;
        if before > published.end
            && let Some(failure) = outside(before, &published)
        {
            return Err(failure);
        }
        let keep = self.segments()?.into_iter().rfind(|first| *first <= before);
        let keep = keep.unwrap_or_default().min(published.segment);
        self.remove_before(held, &mut published, keep)
    }

    /// Removes the segments before the one that begins at an offset.
    ///
    /// The log's new beginning is durable before any of them goes: a segment that is missing behind
    /// the beginning is damage.
    fn remove_before(&self, held: &Held, published: &mut Published, keep: u64) -> Result<()> {
        let mut gone = self.segments()?;
        gone.retain(|first| *first < keep);
        if gone.is_empty() {
            return Ok(());
        }
        if planted(Bug::FirstAfterUnlink) {
            self.remove_segments(&gone)?;
        }
        // Though it may be there already: whoever wrote it may have failed to make it durable.
        let bounds = self.bounds()?;
        self.set_bounds(held, Bounds { first: bounds.first.max(keep), ..bounds })?;
        if published.first < keep {
            published.first = keep;
            self.publish(held, published)?;
        }
        self.remove_segments(&gone)
    }

    fn remove_segments(&self, firsts: &[u64]) -> Result<()> {
        for first in firsts {
            let path = self.segment_path(*first);
            self.forget(*first);
            match self.disk.remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(failed("remove", &path))?,
            }
        }
        Ok(())
    }
}
