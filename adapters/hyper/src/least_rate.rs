//! A least rate for a body that a peer sends.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Buf, Frame, SizeHint};
use netpoll::{DeadlineExceeded, Reactor, Timer};
use pin_project_lite::pin_project;

/// How much longer than its period a body may take, at most. The bytes of the period may have arrived while the task that reads
/// the connection has not run.
const LAST_LOOK: Duration = Duration::from_secs(1);

pin_project! {
    /// A body that fails if its peer sends it slower than a least rate: for a service whose client sends a byte now and then, under
    /// any server of `http_body` 1.
    ///
    /// In each period for which the reader waits for the peer, the peer must send as many bytes as the rate makes of the period, and
    /// at least one. Time in which the reader does not wait does not count: before it reads, while it uses a piece, after
    /// the end of the body. The peer has one second more than the period, or twice the period if that is shorter.
    ///
    /// A peer that is silent on purpose fails as well: a stream of gRPC, a tunnel. So a service chooses the requests whose
    /// bodies have a rate. It holds for one request: with HTTP/2, the other streams continue.
    ///
    /// # Errors
    ///
    /// [`DeadlineExceeded`], if the peer was too slow. No byte is lost: the reader may go on. An error
    /// of the body. [`ReactorGone`](netpoll::ReactorGone) or the error of [`Reactor::global`] where a wait needs the reactor.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    /// use http_body_util::BodyExt;
    /// use hyper::{Request, Response, StatusCode, body::Incoming};
    /// use netpoll_hyper::{LeastRate, deadline_in};
    ///
    /// /// Takes an upload. Its client sends 1,000 bytes in each 10 seconds.
    /// async fn upload(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    ///     let body = LeastRate::new(request.into_body(), 100, Duration::from_secs(10));
    ///     let (status, text) = match body.collect().await {
    ///         Ok(body) => (StatusCode::OK, format!("{} bytes", body.to_bytes().len())),
    ///         Err(late) if deadline_in(&*late) => (StatusCode::REQUEST_TIMEOUT, String::new()),
    ///         Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    ///     };
    ///     let mut answer = Response::new(text);
    ///     *answer.status_mut() = status;
    ///     Ok(answer)
    /// }
    /// ```
    pub struct LeastRate<B> {
        #[pin]
        body: B,
        rate: Rate,
    }
}

impl<B> LeastRate<B> {
    /// Demands this rate, in bytes a second, in each such period. It waits on the [global reactor](Reactor::global).
    #[must_use]
    pub fn new(body: B, bytes_a_second: u64, period: Duration) -> Self {
        Self { body, rate: Rate::new(None, bytes_a_second, period) }
    }

    /// As [`new`](Self::new), on another reactor, and by its clock.
    #[must_use]
    pub fn with(reactor: &Reactor, body: B, bytes_a_second: u64, period: Duration) -> Self {
        Self { body, rate: Rate::new(Some(reactor.clone()), bytes_a_second, period) }
    }
}

impl<B: Body<Error: Into<Box<dyn Error + Send + Sync>>>> Body for LeastRate<B> {
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = self.project();
        match this.body.poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                this.rate.received(data.map_or(0, Buf::remaining));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => this.rate.poll_missed(cx).map(|error| Some(Err(error.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Prints the body.
impl<B: fmt::Debug> fmt::Debug for LeastRate<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeastRate").field("body", &self.body).finish_non_exhaustive()
    }
}

struct Rate {
    period: Duration,
    /// The bytes that the peer must send in each period.
    least: u64,
    /// `None` for the global reactor, until the first wait.
    reactor: Option<Reactor>,
    timer: Option<Timer>,
    /// The part of the period, or of the last look, for which the reader has not waited.
    left: Duration,
    is_last_look: bool,
    /// The end of `left`, while the reader waits.
    until: Option<Instant>,
    /// The bytes of this period.
    received: u64,
}

impl Rate {
    fn new(reactor: Option<Reactor>, bytes_a_second: u64, period: Duration) -> Self {
        let least = least(bytes_a_second, period);
        let (timer, left, until) = (None, period, None);
        Self { period, least, reactor, timer, left, is_last_look: false, until, received: 0 }
    }

    /// Records that the peer has sent `count` bytes.
    fn received(&mut self, count: usize) {
        self.received = self.received.saturating_add(count as u64);
        let mut is_late = false;
        if let (Some(until), Some(reactor)) = (self.until.take(), &self.reactor) {
            let now = reactor.now();
            self.left = until.saturating_duration_since(now);
            is_late = now.saturating_duration_since(until) >= self.last_look();
        }
        // If the reader comes late, the bytes may have waited for it.
        if self.received >= self.least || is_late {
            (self.left, self.is_last_look, self.received) = (self.period, false, 0);
        }
    }

    /// Waits, and is ready with the error when the peer has missed the rate.
    fn poll_missed(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            if self.until.is_none()
                && let Err(error) = self.wait()
            {
                return Poll::Ready(error);
            }
            let Some(timer) = &self.timer else { return Poll::Pending };
            match timer.poll_fired(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(())) if self.is_last_look => {
                    return Poll::Ready(DeadlineExceeded::error());
                }
                Poll::Ready(Ok(())) => {
                    (self.left, self.is_last_look) = (self.last_look(), true);
                    self.until = None;
                }
            }
        }
    }

    fn last_look(&self) -> Duration {
        self.period.min(LAST_LOOK)
    }

    /// Begins a wait.
    fn wait(&mut self) -> io::Result<()> {
        let reactor = match &self.reactor {
            Some(reactor) => reactor,
            None => self.reactor.insert(Reactor::global()?.clone()),
        };
        let timer = match &self.timer {
            Some(timer) => timer,
            None => self.timer.insert(Timer::never(reactor)?),
        };
        // A time that `Instant` cannot represent never comes.
        self.until = reactor.now().checked_add(self.left);
        timer.set(self.until);
        Ok(())
    }
}

/// The bytes of a period at this rate, at least one.
pub(crate) fn least(rate: u64, period: Duration) -> u64 {
    // A product beyond the range is the largest number.
    ((rate as f64 * period.as_secs_f64()) as u64).max(1)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::Waker;

    use futures::StreamExt;
    use futures::channel::mpsc::{UnboundedSender, unbounded};
    use http_body_util::StreamBody;
    use hyper::body::Bytes;
    use netpoll::is_deadline_exceeded;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    type Polled = Poll<Result<usize, Box<dyn Error + Send + Sync>>>;

    /// A body of which 100 bytes come in each 10 seconds, by a clock that the test moves.
    fn scene() -> io::Result<(Reactor, UnboundedSender<usize>, impl FnMut() -> Polled)> {
        let reactor = Reactor::builder().manual_clock().build()?;
        let (send, pieces) = unbounded::<usize>();
        let frames = pieces.map(|len| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; len]))));
        let mut body =
            Box::pin(LeastRate::with(&reactor, StreamBody::new(frames), 10, 10 * SECOND));
        let poll = move || {
            let polled = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
            polled.map(|frame| {
                frame.expect("no end").map(|frame| frame.data_ref().map_or(0, Bytes::len))
            })
        };
        Ok((reactor, send, poll))
    }

    /// Lets time pass, and waits until the reactor has seen to it.
    fn pass(reactor: &Reactor, time: Duration) -> io::Result<()> {
        let timer = pin!(Timer::at(reactor, reactor.now() + time)?);
        // A timer fires with the tick after its time.
        reactor.advance(time + Duration::from_millis(1));
        futures::executor::block_on(timer)
    }

    #[track_caller]
    fn assert_late(polled: Polled) {
        let Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
        assert!(error.downcast_ref().is_some_and(is_deadline_exceeded), "{error}");
    }

    #[track_caller]
    fn assert_read(polled: Polled, len: usize) {
        assert_eq!(polled.map(Result::ok), Poll::Ready(Some(len)));
    }

    #[test]
    fn too_few_bytes_in_a_period_and_the_last_look() -> io::Result<()> {
        let (reactor, send, mut poll) = scene()?;
        for _ in 0..9 {
            assert!(poll().is_pending());
            pass(&reactor, SECOND)?;
            send.unbounded_send(10).expect("the body is there");
            assert_read(poll(), 10);
        }
        assert!(poll().is_pending());
        pass(&reactor, SECOND)?;
        assert!(poll().is_pending(), "the last look");
        pass(&reactor, SECOND / 2)?;
        send.unbounded_send(9).expect("the body is there");
        assert_read(poll(), 9);
        assert!(poll().is_pending());
        pass(&reactor, SECOND / 2)?;
        assert_late(poll());
        assert_late(poll());
        send.unbounded_send(1).expect("the body is there");
        assert_read(poll(), 1);
        assert!(poll().is_pending(), "another period");
        Ok(())
    }

    /// The bytes of the period have arrived, and the task of the connection has not run.
    #[test]
    fn bytes_of_the_last_look_count() -> io::Result<()> {
        let (reactor, send, mut poll) = scene()?;
        for _ in 0..3 {
            assert!(poll().is_pending());
            pass(&reactor, 10 * SECOND)?;
            assert!(poll().is_pending(), "the last look");
            send.unbounded_send(100).expect("the body is there");
            assert_read(poll(), 100);
        }
        Ok(())
    }

    #[test]
    fn a_reader_that_does_not_wait_spends_nothing() -> io::Result<()> {
        let (reactor, send, mut poll) = scene()?;
        for _ in 0..30 {
            pass(&reactor, 100 * SECOND)?;
            send.unbounded_send(1).expect("the body is there");
            assert_read(poll(), 1);
        }
        assert!(poll().is_pending());
        pass(&reactor, 9 * SECOND)?;
        assert!(poll().is_pending());
        Ok(())
    }

    /// It waits, does something else, and comes back after the period. The byte may have been there for long.
    #[test]
    fn a_reader_that_comes_late_begins_a_period() -> io::Result<()> {
        let (reactor, send, mut poll) = scene()?;
        for _ in 0..3 {
            assert!(poll().is_pending());
            pass(&reactor, 100 * SECOND)?;
            send.unbounded_send(1).expect("the body is there");
            assert_read(poll(), 1);
        }
        assert!(poll().is_pending());
        pass(&reactor, 9 * SECOND)?;
        assert!(poll().is_pending());
        Ok(())
    }

    /// A byte comes after the end of the period, or of the last look, and before the reader has run. It buys no period.
    #[test]
    fn a_byte_between_the_end_and_the_reader_is_not_enough() -> io::Result<()> {
        let (reactor, send, mut poll) = scene()?;
        assert!(poll().is_pending());
        pass(&reactor, 10 * SECOND)?;
        send.unbounded_send(1).expect("the body is there");
        assert_read(poll(), 1);
        assert!(poll().is_pending(), "the last look");
        pass(&reactor, SECOND)?;
        send.unbounded_send(1).expect("the body is there");
        assert_read(poll(), 1);
        assert_late(poll());
        Ok(())
    }

    #[test]
    fn at_least_one_byte_in_a_period_and_any_number_is_a_rate() {
        assert_eq!(least(0, 10 * SECOND), 1);
        assert_eq!(least(10, SECOND / 2), 5);
        assert_eq!(least(u64::MAX, Duration::MAX), u64::MAX);
    }
}
