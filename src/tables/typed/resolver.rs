//! From an expression to one with types: part by part, from the inside out.

use super::literal::{as_text, bent, constant};
use super::{
    Field, Node, Resolved, Type, Typed, Unknown, field, flag, folded, not, null, presence, to_double, typed, wrong,
};
use crate::tables::definition::Definition;
use crate::tables::odata::{Comparison, Expr, Function, Literal, byte_of_name};
use crate::tables::row::stamp_of;
use crate::tables::schema::Schema;
use crate::tables::value::{Kind, Value};

pub(super) struct Resolver<'a> {
    pub(super) definition: &'a Definition,
    pub(super) schema: &'a Schema,
    pub(super) unknown: Unknown,
    pub(super) null_differs: bool,
}

impl Resolver<'_> {
    pub(super) fn condition(&self, expr: &Expr) -> Resolved {
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Bool => Ok(resolved),
            // As a condition: PostgreSQL takes no other type for one.
            Type::Null => Ok(Typed { of: Type::Bool, ..null() }),
            _ => wrong("must be a condition, which is true or false"),
        }
    }

    fn conditions(&self, parts: &[Expr]) -> Resolved<Vec<Typed>> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    fn expr(&self, expr: &Expr) -> Resolved {
        Ok(match expr {
            Expr::Literal(literal) => constant(literal),
            Expr::Member(name) => self.member(name)?,
            Expr::Not(inner) => not(self.condition(inner)?),
            Expr::Negated(inner) => typed(Node::Negated(Box::new(self.double(inner)?)), Type::Double),
            Expr::And(parts) => typed(Node::And(self.conditions(parts)?), Type::Bool),
            Expr::Or(parts) => typed(Node::Or(self.conditions(parts)?), Type::Bool),
            Expr::Compare(operator, left, right) => self.compare(*operator, left, right)?,
            Expr::In(inner, list) => self.among(inner, list)?,
            Expr::Arithmetic(operator, left, right) => {
                let (left, right) = (Box::new(self.double(left)?), Box::new(self.double(right)?));
                typed(Node::Arithmetic(*operator, left, right), Type::Double)
            }
            Expr::Call(function, arguments) => self.call(*function, arguments)?,
        })
    }

    fn member(&self, name: &str) -> Resolved {
        let found = field(name, self.definition, self.schema, Unknown::Null, "$filter")?;
        if found.is_none()
            && let Some(byte) = byte_of_name(name)
        {
            return Ok(constant(&byte));
        }
        let Some(found) = field(name, self.definition, self.schema, self.unknown, "$filter")? else {
            return Ok(null());
        };
        if name.eq_ignore_ascii_case("version") {
            return wrong("must compare version with a text, by eq, ne or in");
        }
        let of = match found {
            Field::Id if self.definition.auto_increment => Type::Exact,
            Field::Id => Type::Text,
            Field::Created | Field::Updated => Type::Time,
            Field::Deleted => Type::Bool,
            Field::Own(at) => match self.schema.at(at).map(|column| column.kind) {
                Some(Kind::Text) => Type::Text,
                Some(Kind::Number) => Type::Exact,
                Some(Kind::Boolean) => Type::Bool,
                Some(Kind::Date) => Type::Time,
                None => Type::Null,
            },
        };
        Ok(typed(Node::Field(found), of))
    }

    fn double(&self, expr: &Expr) -> Resolved {
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Exact | Type::Double | Type::Null => Ok(to_double(resolved)),
            _ => wrong("must compute with numbers alone"),
        }
    }

    fn text(&self, function: Function, expr: &Expr) -> Resolved {
        if let Expr::Literal(literal) = expr
            && let Some(text) = as_text(literal)
        {
            return Ok(typed(Node::Literal(Value::Text(text)), Type::Text));
        }
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Text | Type::Null => Ok(resolved),
            _ => wrong(format!("must give {} a text", function.name())),
        }
    }

    fn time(&self, function: Function, expr: &Expr) -> Resolved {
        let resolved = self.expr(expr)?;
        match resolved.of {
            Type::Time | Type::Null => Ok(resolved),
            _ => wrong(format!("must give {} a date", function.name())),
        }
    }

    fn call(&self, function: Function, arguments: &[Expr]) -> Resolved {
        use Function::*;
        let texts = || arguments.iter().map(|argument| self.text(function, argument)).collect::<Resolved<Vec<_>>>();
        let (arguments, of) = match function {
            Contains | StartsWith | EndsWith => (texts()?, Type::Bool),
            IndexOf | Length => (texts()?, Type::Double),
            ToLower | ToUpper | Trim | Concat | Replace => (texts()?, Type::Text),
            Substring => {
                let [text, numbers @ ..] = arguments else { return wrong("must give substring a text") };
                let numbers = numbers.iter().map(|number| self.double(number));
                let all = std::iter::once(self.text(function, text)).chain(numbers).collect::<Resolved<Vec<_>>>()?;
                (all, Type::Text)
            }
            Year | Month | Day | Hour | Minute | Second => {
                let [time] = arguments else { return wrong("must give the parts of a date one date") };
                (vec![self.time(function, time)?], Type::Double)
            }
            Floor | Ceiling | Round => {
                let [number] = arguments else { return wrong("must give a rounding one number") };
                (vec![self.double(number)?], Type::Double)
            }
        };
        // Nothing can be made of null.
        if arguments.iter().any(|argument| argument.of == Type::Null) {
            return Ok(Typed { of: if of == Type::Bool { Type::Bool } else { Type::Null }, ..null() });
        }
        Ok(typed(Node::Call(function, arguments), of))
    }

    fn compare(&self, operator: Comparison, left: &Expr, right: &Expr) -> Resolved {
        for (version, other) in [(left, right), (right, left)] {
            if self.is_version(version) {
                return self.version(operator, other);
            }
        }
        let (left, right) = self.alike(left, right)?;
        let (left, right) = match (left.of, right.of) {
            (Type::Null, Type::Null) | (_, Type::Null) | (Type::Null, _) if operator.is_order() => {
                return Ok(Typed { of: Type::Bool, ..null() });
            }
            (Type::Null, _) => return Ok(presence(operator, right)),
            (_, Type::Null) => return Ok(presence(operator, left)),
            (Type::Exact, Type::Double) => (to_double(left), right),
            (Type::Double, Type::Exact) => (left, to_double(right)),
            _ => (left, right),
        };
        let (left, right) = (Box::new(left), Box::new(right));
        Ok(match operator {
            Comparison::NotEqual if self.null_differs => typed(Node::Differs(left, right), Type::Bool),
            _ => typed(Node::Compare(operator, left, right), Type::Bool),
        })
    }

    /// Both sides, of one type where they are not null.
    fn alike(&self, left: &Expr, right: &Expr) -> Resolved<(Typed, Typed)> {
        let (a, b) = match (left, right) {
            (Expr::Literal(a), Expr::Literal(b)) => (constant(a), constant(b)),
            (Expr::Literal(literal), other) => {
                let other = self.expr(other)?;
                let (literal, folds) = bent(other.of, literal)?;
                (literal, folded(other, folds))
            }
            (other, Expr::Literal(literal)) => {
                let other = self.expr(other)?;
                let (literal, folds) = bent(other.of, literal)?;
                (folded(other, folds), literal)
            }
            (a, b) => (self.expr(a)?, self.expr(b)?),
        };
        let number = |of| matches!(of, Type::Exact | Type::Double);
        let same = a.of == b.of || number(a.of) && number(b.of) || a.of == Type::Null || b.of == Type::Null;
        if same { Ok((a, b)) } else { wrong(format!("must not compare {} with {}", word(a.of), word(b.of))) }
    }

    fn among(&self, inner: &Expr, list: &[Literal]) -> Resolved {
        if self.is_version(inner) {
            let stamps = list.iter().filter_map(|literal| as_text(literal).and_then(|text| stamp_of(&text)));
            let updated = typed(Node::Field(Field::Updated), Type::Time);
            return Ok(typed(Node::In(Box::new(updated), stamps.map(Value::Time).collect()), Type::Bool));
        }
        let resolved = self.expr(inner)?;
        if resolved.of == Type::Null {
            let is = list.contains(&Literal::Null);
            return Ok(flag(is));
        }
        let number = |of| matches!(of, Type::Exact | Type::Double);
        // Beside texts, which are as they are, GUIDs without regard to case.
        let (mut values, mut guids) = (Vec::with_capacity(list.len()), Vec::new());
        for literal in list.iter().filter(|literal| **literal != Literal::Null) {
            let (value, folds) = bent(resolved.of, literal)?;
            if value.of != resolved.of && !(number(value.of) && number(resolved.of)) {
                return wrong(format!("must not compare {} with {}", word(resolved.of), word(value.of)));
            }
            let Node::Literal(value) = value.node else { continue };
            if folds { guids.push(value) } else { values.push(value) }
        }
        let among = |tested: Typed, values| typed(Node::In(Box::new(tested), values), Type::Bool);
        let mut parts = Vec::new();
        if list.contains(&Literal::Null) {
            parts.push(presence(Comparison::Equal, resolved.clone()));
        }
        if !guids.is_empty() {
            parts.push(among(folded(resolved.clone(), true), guids));
        }
        if !values.is_empty() {
            parts.push(among(resolved, values));
        }
        // A list has at least one literal.
        Ok(if parts.len() == 1 { parts.remove(0) } else { typed(Node::Or(parts), Type::Bool) })
    }

    fn is_version(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Member(name) if name.eq_ignore_ascii_case("version"))
    }

    /// A version is a stamp in another form; a text that is none is no row's version.
    fn version(&self, operator: Comparison, other: &Expr) -> Resolved {
        let Expr::Literal(literal) = other else { return wrong("must compare version with a text, by eq, ne or in") };
        let stamp = match literal {
            Literal::Null => None,
            Literal::Text(text) => stamp_of(text),
            _ => return wrong("must compare version with a text, by eq, ne or in"),
        };
        let updated = Box::new(typed(Node::Field(Field::Updated), Type::Time));
        Ok(match (operator, stamp) {
            (Comparison::Equal | Comparison::NotEqual, Some(stamp)) => {
                let stamp = Box::new(typed(Node::Literal(Value::Time(stamp)), Type::Time));
                typed(Node::Compare(operator, updated, stamp), Type::Bool)
            }
            (Comparison::Equal, None) => flag(false),
            (Comparison::NotEqual, None) => flag(true),
            _ => return wrong("must compare version with a text, by eq, ne or in"),
        })
    }
}

/// As a refusal calls it.
const fn word(of: Type) -> &'static str {
    match of {
        Type::Bool => "a boolean",
        Type::Exact | Type::Double => "a number",
        Type::Text => "a text",
        Type::Time => "a date",
        Type::Null => "null",
    }
}
