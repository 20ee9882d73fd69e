//! Pictures as text, in the colours of the reader's light or dark screen.

use std::fmt::{Display, Write};

const STYLE: &str = "\
<style>
  text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #24292f }
  .head { font-weight: bold }
  .faint { fill: #57606a }
  .grid { stroke: #d0d7de }
  .axis { stroke: #57606a }
  .a { stroke: #0969da; fill: #0969da }
  .b { stroke: #bc4c00; fill: #bc4c00 }
  .line { fill: none; stroke-width: 2 }
  .spread { stroke-width: 3; stroke-opacity: 0.4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .faint { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .axis { stroke: #9198a1 }
    .a { stroke: #4493f8; fill: #4493f8 }
    .b { stroke: #f0883e; fill: #f0883e }
    .line { fill: none }
  }
</style>
";

/// A picture under construction. Coordinates are in pixels, from the upper left corner.
#[derive(Default)]
pub(crate) struct Svg(String);

/// Which point of a text is at its place.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Adds a text, whose class is one of `head` and `faint`, or empty.
    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: impl Display) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            r#"<text x="{:.0}" y="{:.0}" text-anchor="{anchor}" class="{class}">{text}</text>"#,
            at.0, at.1
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.add(format_args!(
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" class="{class}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    pub(crate) fn dot(&mut self, at: (f64, f64), class: &str) {
        self.add(format_args!(
            r#"<circle cx="{:.1}" cy="{:.1}" r="3.5" class="{class}"/>"#,
            at.0, at.1
        ));
    }

    pub(crate) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(r#"<polyline points="{}" class="{class} line"/>"#, points.join(" ")));
    }

    fn add(&mut self, element: impl Display) {
        writeln!(self.0, "{element}").unwrap();
    }

    /// Returns the file.
    pub(crate) fn finish(self, width: f64, height: f64, label: &str) -> String {
        let head = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">"#
        );
        format!("{head}\n{STYLE}{}</svg>\n", self.0)
    }
}
