//! Desktop notifications: pure rules, and the backends that show what the rules decided.
