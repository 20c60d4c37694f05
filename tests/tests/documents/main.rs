//! The documents plugin in the real server: through both faces, under its scope, while files change, while processes die.

mod changes;
mod companions;
mod crashes;
mod faces;
mod folders;
mod house;
mod kinds;
mod outside;
