//! Web search through the real binary: who may call what, what a client hears meanwhile, what a day may cost – also when
//! the server is killed – and many callers at once while Tavily goes wrong in every way.

mod budget;
mod calls;
mod house;
mod load;
