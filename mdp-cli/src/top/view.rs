//! Draws the screen of `mdp top`.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

use super::rates::{Of, Rates, Sample};

/// The screen's state.
#[derive(Debug, Default)]
pub(super) struct View {
    before: Option<Sample>,
    now: Option<Sample>,
    /// The name of the selected service. If it does not exist, the first service is selected.
    chosen: Option<String>,
    methods: bool,
    /// The broker does not answer.
    pub(super) lost: bool,
}

const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
const BAD: Style = Style::new().fg(Color::Red);

/// The columns: a name, the state, the rates of the last interval, and the last error.
const WIDTHS: [Constraint; 9] = [
    Constraint::Fill(2),
    Constraint::Length(8),
    Constraint::Length(12),
    Constraint::Length(8),
    Constraint::Length(12),
    Constraint::Length(12),
    Constraint::Length(12),
    Constraint::Length(12),
    Constraint::Fill(1),
];

impl View {
    pub(super) fn take(&mut self, sample: Sample) {
        self.before = self.now.replace(sample);
        self.lost = false;
    }

    /// Selects the service this many lines below.
    pub(super) fn choose(&mut self, lines: isize) {
        let Some(now) = &self.now else { return };
        let last = now.services.len().saturating_sub(1);
        let line = self.chosen_line(now).saturating_add_signed(lines).min(last);
        self.chosen = now.services.get(line).map(|line| line.service.clone());
    }

    /// Switches between workers and methods.
    pub(super) fn turn(&mut self) {
        self.methods = !self.methods;
    }

    fn chosen_line(&self, now: &Sample) -> usize {
        let chosen =
            now.services.iter().position(|line| Some(&line.service) == self.chosen.as_ref());
        chosen.unwrap_or(0)
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let parts = [
            Constraint::Length(2),
            Constraint::Fill(1),
            Constraint::Fill(1),
            Constraint::Length(1),
        ];
        let [head, services, below, foot] = Layout::vertical(parts).areas(frame.area());
        let Some(now) = &self.now else {
            let waits = if self.lost { "the broker does not answer" } else { "asking the broker" };
            return frame.render_widget(Paragraph::new(waits), head);
        };
        frame.render_widget(self.summary(now), head);
        self.services(frame, services, now);
        if let Some(chosen) = now.services.get(self.chosen_line(now)) {
            let table = match self.methods {
                true => self.methods_of(&chosen.service, now),
                false => self.workers_of(&chosen.service, now),
            };
            frame.render_widget(table, below);
        }
        let keys = "q quits   up and down choose a service   Tab shows methods or workers";
        frame.render_widget(Paragraph::new(keys), foot);
    }

    fn rates(&self, now: &Sample, of: &Of) -> Rates {
        now.since(self.before.as_ref(), of)
    }

    fn summary(&self, now: &Sample) -> Paragraph<'static> {
        let of = |name: &str| now.counters.get(name).copied().unwrap_or_default();
        let all =
            now.services.iter().map(|line| self.rates(now, &Of::Service(line.service.clone())));
        let (calls, errors) =
            all.fold((0.0, 0.0), |sum, rates| (sum.0 + rates.calls, sum.1 + rates.errors));
        let line = format!(
            "{calls:.1} calls/s   {errors:.1} errors/s   {} running   {} queued   {} sessions   {} KiB held   {} KiB unread",
            of("running"),
            of("queued"),
            of("sessions"),
            of("held_bytes") / 1_024,
            of("unread_bytes") / 1_024,
        );
        let second = match self.lost {
            true => Span::styled("the broker does not answer; these are the last values", BAD),
            false => Span::raw(""),
        };
        Paragraph::new(vec![Line::styled(line, HEAD), Line::from(second)])
    }

    fn services(&self, frame: &mut Frame<'_>, area: Rect, now: &Sample) {
        let rows = now.services.iter().map(|line| {
            let slots = format!("{}/{}", line.running, line.capacity);
            let (workers, queued) = (line.workers.to_string(), line.queued.to_string());
            let first = [line.service.clone(), workers, slots, queued];
            let style = if line.workers == 0 { BAD } else { Style::default() };
            self.row(now, first, &Of::Service(line.service.clone())).style(style)
        });
        let table = table(rows, ["SERVICE", "WORKERS", "IN USE", "QUEUED"]);
        let mut state = TableState::default().with_selected(self.chosen_line(now));
        frame.render_stateful_widget(table.row_highlight_style(CHOSEN), area, &mut state);
    }

    fn workers_of(&self, service: &str, now: &Sample) -> Table<'static> {
        let rows = now.workers.iter().filter(|line| line.service == service).map(|line| {
            let slots = format!("{}/{}", line.running, line.capacity);
            let state = if line.draining { "draining" } else { "serving" };
            let first = [line.id.clone(), line.dialect.clone(), slots, state.to_owned()];
            self.row(now, first, &Of::Worker(line.service.clone(), line.id.clone()))
        });
        table(rows, ["WORKER", "DIALECT", "IN USE", "STATE"])
    }

    fn methods_of(&self, service: &str, now: &Sample) -> Table<'static> {
        let rows = now.methods.iter().filter(|line| line.service == service).map(|line| {
            let name = if line.method.is_empty() { "(others)" } else { &line.method };
            let (calls, errors) = (line.done.requests.to_string(), line.done.errors.to_string());
            let first = [name.to_owned(), calls, errors, line.done.redispatched.to_string()];
            self.row(now, first, &Of::Method(line.service.clone(), line.method.clone()))
        });
        table(rows, ["METHOD", "CALLS", "ERRORS", "RETRIES"])
    }

    /// A line with the state and the rates of one service, worker or method.
    fn row(&self, now: &Sample, first: [String; 4], of: &Of) -> Row<'static> {
        let rates = self.rates(now, of);
        let mean = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let errors = Cell::from(format!("{:.1}", rates.errors));
        let numbers = [
            Cell::from(format!("{:.1}", rates.calls)),
            if rates.errors > 0.0 { errors.style(BAD) } else { errors },
            Cell::from(mean(rates.waited)),
            Cell::from(mean(rates.ran)),
            Cell::from(last_error(now, of)),
        ];
        Row::new(first.into_iter().map(Cell::from).chain(numbers))
    }
}

fn table(rows: impl Iterator<Item = Row<'static>>, names: [&'static str; 4]) -> Table<'static> {
    let all = ["CALLS/s", "ERRORS/s", "WAITED ms", "RAN ms", "LAST ERROR"];
    let head = Row::new(names.into_iter().chain(all)).style(HEAD);
    Table::new(rows, WIDTHS).header(head).column_spacing(1)
}

fn last_error(now: &Sample, of: &Of) -> String {
    let Some(done) = now.done(of) else { return String::new() };
    let ago = done.last_error_ms_ago.unwrap_or_default() / 1_000;
    done.last_error.as_ref().map_or_else(String::new, |code| format!("{code}, {ago} s ago"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::management::Numbers;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(120, 20)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn before_the_first_look_it_says_what_it_waits_for() {
        let mut view = View::default();
        assert!(drawn(&view).contains("asking the broker"));
        view.lost = true;
        assert!(drawn(&view).contains("the broker does not answer"));
        view.take(Sample::new(Vec::new(), Vec::new(), Vec::new(), Numbers::new()));
        view.choose(1);
        view.choose(-5);
        view.turn();
        assert!(drawn(&view).contains("0.0 calls/s") && !view.lost);
    }
}
