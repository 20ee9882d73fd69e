//! A drawn terminal as a picture.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// The size of a character, in pixels.
const WIDTH: u16 = 8;
const HEIGHT: u16 = 17;
const MARGIN: u16 = 10;

const BACKGROUND: &str = "#1c2128";
const TEXT: &str = "#d0d7de";

/// Returns an SVG of a terminal. It is dark with a frame, so that it can be read on any page.
pub(super) fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (width, height) = (area.width * WIDTH + 2 * MARGIN, area.height * HEIGHT + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\">\n\
         <rect x=\"1\" y=\"1\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{BACKGROUND}\" stroke=\"#768390\"/>\n",
        width - 2,
        height - 2
    );
    for (y, cells) in buffer.content.chunks(area.width.into()).enumerate() {
        let mut x = 0;
        for run in cells.chunk_by(|a, b| looks(a) == looks(b)) {
            draw_run(&mut svg, x, y as u16, run);
            x += run.len() as u16;
        }
    }
    svg + "</svg>\n"
}

/// What a character looks like, beside what it is.
fn looks(cell: &Cell) -> (Color, Modifier) {
    (cell.fg, cell.modifier)
}

/// Draws characters of one look, from a place on.
fn draw_run(svg: &mut String, x: u16, y: u16, run: &[Cell]) {
    let (color, modifier) = looks(&run[0]);
    let (left, top) = (MARGIN + x * WIDTH, MARGIN + y * HEIGHT);
    let width = run.len() as u16 * WIDTH;
    let mut fill = match color {
        Color::Red => "#ff7b72",
        Color::Yellow => "#e3b341",
        Color::Green => "#56d364",
        _ => TEXT,
    };
    if modifier.contains(Modifier::REVERSED) {
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{fill}\"/>"
        );
        fill = BACKGROUND;
    }
    // Spaces at the ends are no part of the text: not every viewer counts them.
    let is_text = |cell: &Cell| cell.symbol() != " ";
    let (Some(first), Some(last)) = (run.iter().position(is_text), run.iter().rposition(is_text))
    else {
        return;
    };
    let (left, width) = (left + first as u16 * WIDTH, (last - first + 1) as u16 * WIDTH);
    let text: String = run[first..=last].iter().map(Cell::symbol).collect();
    let mut more = String::new();
    for (has, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::DIM, " opacity=\"0.6\""),
    ] {
        if modifier.contains(has) {
            more += attribute;
        }
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"{}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{fill}\"{more} xml:space=\"preserve\">{text}</text>",
        top + 13
    );
}
