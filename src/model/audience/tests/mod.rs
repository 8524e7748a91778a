mod parse;
mod scope;
