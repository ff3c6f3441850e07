//! The program as a user meets it.

mod devices;
mod terminal;
