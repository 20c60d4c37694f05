//! The plugin as a server has it: started over real folders, called, and watched while they change.

mod answers;
mod changes;
mod companions;
mod house;
mod outside;
mod starts;
