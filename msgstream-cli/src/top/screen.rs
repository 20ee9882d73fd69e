//! The terminal, from the moment that it is taken to its return.

use std::io::{self, IsTerminal as _};

use anstream::ColorChoice;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::crossterm::style::force_color_output;
use ratatui::{DefaultTerminal, Frame};

use super::state::Key;
use crate::words::set_drawn_on;

/// The terminal as it is drawn on. It is given back, as it was, when this is dropped, and when the
/// program panics.
pub(crate) struct Screen(DefaultTerminal);

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        match ColorChoice::global() {
            ColorChoice::Never => force_color_output(false),
            ColorChoice::Always | ColorChoice::AlwaysAnsi => force_color_output(true),
            // It goes by NO_COLOR.
            ColorChoice::Auto => {}
        }
        let screen = ratatui::try_init().map(Self)?;
        set_drawn_on(io::stderr().is_terminal());
        Ok(screen)
    }

    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
        set_drawn_on(false);
    }
}

/// Returns the key of an event, if it is one that is pressed and means something.
pub(crate) fn key(event: &Event) -> Option<Key> {
    let KeyEvent { code, modifiers, .. } = event.as_key_press_event()?;
    let control = modifiers.contains(KeyModifiers::CONTROL);
    Some(match code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}
