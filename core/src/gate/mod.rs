//! The protected resource: reads the credential, makes a principal, writes challenges.
