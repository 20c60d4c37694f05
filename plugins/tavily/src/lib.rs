//! Web search and page extraction through Tavily.
