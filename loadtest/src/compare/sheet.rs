//! What came out: medians over the rounds with their least and most, and how each stands to h2load.
use std::{fmt, time::Duration};

use serde::Serialize;

use super::{
    receiver::{Against, Setting},
    senders::Sender,
};
use crate::figures::{median, micros_each, per_second, rate};

/// One turn of one sender.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Turn {
    /// Microseconds of CPU for each request.
    pub cpu_micros: f64,
    pub per_second: f64,
    /// Microseconds of the receiver's CPU for each request, the warm-up included.
    pub receiver_micros: f64,
}

impl Turn {
    pub fn new(requests: u64, cpu: Duration, wall: Duration, receiver: (Duration, u64)) -> Self {
        Self {
            cpu_micros: micros_each(cpu, requests),
            per_second: per_second(requests, wall),
            receiver_micros: micros_each(receiver.0, receiver.1),
        }
    }
}

/// A median with its least and most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        let median = median(&mut values);
        Self {
            median,
            least: values.first().copied().unwrap_or_default(),
            most: values.last().copied().unwrap_or_default(),
        }
    }
}

/// One sender's line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub sender: Sender,
    /// Measured requests of each turn.
    pub requests: u64,
    pub cpu_micros: Spread,
    pub per_second: Spread,
    pub receiver_micros: f64,
    /// Medians over those of h2load, where it took part.
    pub cpu_to_h2load: Option<f64>,
    pub rate_to_h2load: Option<f64>,
    pub turns: Vec<Turn>,
}

/// The whole sheet.
#[derive(Clone, Debug, Serialize)]
pub struct Sheet {
    pub against: Against,
    pub connections: usize,
    pub streams: usize,
    pub delay_ms: u64,
    pub rounds: u32,
    pub cores: String,
    pub lines: Vec<Line>,
}

impl Sheet {
    /// `turns`: of each sender its measured requests and what its turns gave.
    pub fn new(setting: Setting, connections: usize, cores: String, turns: Vec<(Sender, u64, Vec<Turn>)>) -> Self {
        let rounds = turns.iter().map(|(_, _, turns)| turns.len()).max().unwrap_or_default();
        let mut lines: Vec<Line> = turns
            .into_iter()
            .map(|(sender, requests, turns)| Line {
                sender,
                requests,
                cpu_micros: Spread::of(turns.iter().map(|turn| turn.cpu_micros)),
                per_second: Spread::of(turns.iter().map(|turn| turn.per_second)),
                receiver_micros: Spread::of(turns.iter().map(|turn| turn.receiver_micros)).median,
                cpu_to_h2load: None,
                rate_to_h2load: None,
                turns,
            })
            .collect();
        let yardstick = lines.iter().find(|line| line.sender == Sender::H2load);
        if let Some((cpu, rate)) = yardstick.map(|line| (line.cpu_micros.median, line.per_second.median)) {
            for line in &mut lines {
                line.cpu_to_h2load = (cpu > 0.0).then(|| line.cpu_micros.median / cpu);
                line.rate_to_h2load = (rate > 0.0).then(|| line.per_second.median / rate);
            }
        }
        Self {
            against: setting.against,
            connections,
            streams: setting.streams,
            delay_ms: setting.delay_ms,
            rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
            cores,
            lines,
        }
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receiver = match self.against {
            Against::Lean => "the lean sink",
            Against::Nginx => "nginx",
        };
        let Self { connections, streams, rounds, cores, .. } = self;
        write!(f, "against {receiver}: {connections} × {streams} streams, ")?;
        if self.delay_ms > 0 {
            write!(f, "answers after {} ms, ", self.delay_ms)?;
        }
        writeln!(f, "{rounds} rounds, {cores}\n")?;
        let (cpu, per_second) = ("CPU µs a request", "requests a second");
        write!(f, "{:<10}{cpu:<24}{per_second:<32}{:<12}{:<12}receiver µs", "sender", "CPU ×", "rate ×")?;
        for line in &self.lines {
            let Line { cpu_micros: cpu, per_second, .. } = line;
            let cpu = format!("{:.2} ({:.2}–{:.2})", cpu.median, cpu.least, cpu.most);
            let Spread { median, least, most } = *per_second;
            let per_second = format!("{} ({}–{})", rate(median), rate(least), rate(most));
            let ratio =
                |ratio: Option<f64>, digits| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.digits$}"));
            let (to_cpu, to_rate) = (ratio(line.cpu_to_h2load, 3), ratio(line.rate_to_h2load, 2));
            let (label, receiver) = (line.sender.label(), line.receiver_micros);
            write!(f, "\n{label:<10}{cpu:<24}{per_second:<32}{to_cpu:<12}{to_rate:<12}{receiver:.2}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(cpu: [f64; 3]) -> Vec<Turn> {
        cpu.map(|cpu_micros| Turn { cpu_micros, per_second: 1e6 / cpu_micros, receiver_micros: 0.3 }).to_vec()
    }

    #[test]
    fn medians_stand_beside_the_yardsticks() {
        let setting = Setting { against: Against::Lean, streams: 1_000, delay_ms: 20, seed: 1, devices: 1 };
        let given = vec![(Sender::Engine, 10, turns([0.5, 0.4, 0.9])), (Sender::H2load, 5, turns([4.0, 5.0, 3.0]))];
        let sheet = Sheet::new(setting, 1, "one core".to_owned(), given);
        let engine = &sheet.lines[0];
        assert_eq!(engine.cpu_micros, Spread { median: 0.5, least: 0.4, most: 0.9 });
        assert_eq!((engine.cpu_to_h2load, engine.rate_to_h2load), (Some(0.125), Some(8.0)));
        let text = sheet.to_string();
        assert!(text.contains("1 × 1000 streams, answers after 20 ms, 3 rounds"), "{text}");
        assert!(text.contains("0.50 (0.40–0.90)") && text.contains("2,000,000 (1,110,000–2,500,000)"), "{text}");
    }

    #[test]
    fn without_the_yardstick_there_are_no_ratios() {
        let setting = Setting { against: Against::Nginx, streams: 1, delay_ms: 0, seed: 1, devices: 1 };
        let sheet = Sheet::new(setting, 1, String::new(), vec![(Sender::Hyper, 1, turns([1.0, 1.0, 1.0]))]);
        assert_eq!(sheet.lines[0].cpu_to_h2load, None);
        assert!(sheet.to_string().contains("hyper"));
    }
}
