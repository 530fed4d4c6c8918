//! A site to fetch from: a server with everything that the tests ask for.

use std::convert::Infallible;
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::Shared;
use futures::{FutureExt, StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use netpoll::{Interest, Reactor, Registration, Timer};
use netpoll_futures::TcpListener;
use netpoll_hyper::{BoxError, Deadline, Deadlines, End, Executor, LeastRate, Server, deadline_in};

use crate::fixtures::{Outcome, let_others_run, ms, until};
use crate::tls::Tls;

pub(crate) const KIB: usize = 1024;
pub(crate) const MIB: usize = 1024 * KIB;

pub(crate) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The gate that `/wait` waits at.
#[derive(Clone)]
struct Backstage {
    gate: Shared<oneshot::Receiver<()>>,
    /// How many have come to it.
    waiting: Arc<AtomicUsize>,
    /// How many bytes `/early` has read of bodies after it had answered, and `/rated` before.
    uploaded: Arc<AtomicUsize>,
    /// That of the connections.
    reactor: Reactor,
}

/// A server at work.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    ends: Ends,
    /// The result of serving.
    pub(crate) served: oneshot::Receiver<std::io::Result<()>>,
    gate: Mutex<Option<oneshot::Sender<()>>>,
    waiting: Arc<AtomicUsize>,
    uploaded: Arc<AtomicUsize>,
    /// The reactor with the time of its connections, if the test moves it by hand.
    reactor: Option<Reactor>,
}

/// How connections have ended.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<End>>>);

impl Ends {
    fn count(&self, is_one: impl Fn(&End) -> bool) -> usize {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().filter(|end| is_one(end)).count()
    }
}

impl Site {
    /// Opens a site, with deadlines that no test comes to but those it asks for.
    pub(crate) async fn open(executor: &Executor, deadlines: Deadlines) -> Outcome<Self> {
        Self::with(executor, |server| server.deadlines(deadlines)).await
    }

    /// Opens a site where time stands still, but for [`pass`](Self::pass).
    pub(crate) fn by_hand(executor: &Executor, deadlines: Deadlines) -> Outcome<Self> {
        Self::by_hand_with(executor, |server| server.deadlines(deadlines))
    }

    /// As [`by_hand`](Self::by_hand), with more settings.
    pub(crate) fn by_hand_with(
        executor: &Executor,
        settings: impl FnOnce(Server) -> Server,
    ) -> Outcome<Self> {
        let (reactor, listener) = listener_by_hand()?;
        let site = Self::listening(executor, listener, settings)?;
        Ok(Self { reactor: Some(reactor), ..site })
    }

    pub(crate) async fn with(
        executor: &Executor,
        settings: impl FnOnce(Server) -> Server,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Self::listening(executor, listener, settings)
    }

    pub(crate) fn listening(
        executor: &Executor,
        listener: TcpListener,
        settings: impl FnOnce(Server) -> Server,
    ) -> Outcome<Self> {
        Self::over(executor, listener, None, settings)
    }

    /// Opens a site that speaks TLS.
    pub(crate) async fn secure(
        executor: &Executor,
        tls: Tls,
        settings: impl FnOnce(Server) -> Server,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Self::over(executor, listener, Some(tls), settings)
    }

    /// As [`by_hand`](Self::by_hand), with TLS.
    pub(crate) fn secure_by_hand(
        executor: &Executor,
        tls: Tls,
        deadlines: Deadlines,
    ) -> Outcome<Self> {
        let (reactor, listener) = listener_by_hand()?;
        let site = Self::over(executor, listener, Some(tls), |server| server.deadlines(deadlines))?;
        Ok(Self { reactor: Some(reactor), ..site })
    }

    fn over(
        executor: &Executor,
        listener: TcpListener,
        tls: Option<Tls>,
        settings: impl FnOnce(Server) -> Server,
    ) -> Outcome<Self> {
        let address = listener.local_addr()?;
        let ends = Ends::default();
        let of_all = ends.clone();
        let server =
            Server::new(executor.clone()).deadlines(Deadlines::none()).on_end(move |end| {
                let mut ends = of_all.0.lock().unwrap_or_else(PoisonError::into_inner);
                ends.push(copy(end));
            });
        let server = settings(server);
        let (send, served) = oneshot::channel();
        let (open, gate) = oneshot::channel();
        let waiting = Arc::<AtomicUsize>::default();
        let uploaded = Arc::<AtomicUsize>::default();
        let backstage = Backstage {
            gate: gate.shared(),
            waiting: waiting.clone(),
            uploaded: uploaded.clone(),
            reactor: listener.reactor().clone(),
        };
        let serving = server.clone();
        executor.spawn(async move {
            let page = |_: &SocketAddr| {
                let backstage = backstage.clone();
                service_fn(move |request| page(request, backstage.clone()))
            };
            let served = match tls {
                None => serving.serve(&listener, page).await,
                Some(tls) => tls.serve(&serving, &listener, page).await,
            };
            // The receiver may be gone.
            let _ = send.send(served);
        });
        Ok(Self {
            server,
            address,
            ends,
            served,
            gate: Mutex::new(Some(open)),
            waiting,
            uploaded,
            reactor: None,
        })
    }

    /// Lets the requests go on that wait at `/wait`.
    pub(crate) fn open_the_gate(&self) {
        drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// How many requests have come to wait at `/wait`.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// How many bytes `/early` and `/rated` have read of bodies.
    pub(crate) fn uploaded(&self) -> usize {
        self.uploaded.load(Ordering::SeqCst)
    }

    /// As [`pass`](Self::pass), while no task of this thread runs.
    pub(crate) fn pass_while_the_thread_is_busy(&self, time: Duration) -> Outcome {
        let mut passed = pin!(self.pass(time));
        loop {
            if let Some(passed) = passed.as_mut().now_or_never() {
                return passed;
            }
            std::thread::yield_now();
        }
    }

    /// Lets time pass for the connections, and waits until the reactor has seen to it.
    pub(crate) async fn pass(&self, time: Duration) -> Outcome {
        let reactor = self.reactor.as_ref().expect("its time is moved by hand");
        let passed = Timer::at(reactor, reactor.now() + time)?;
        // A timer fires with the tick after its time.
        reactor.advance(time + Duration::from_millis(1));
        Ok(passed.await?)
    }

    /// Waits until the server has handled all that has arrived, on an executor with one thread. A few milliseconds pass.
    ///
    /// The turn of the reactor that fires the first timer has found each event that came before. The second timer fires in a
    /// later turn, and by then the first turn has woken its tasks.
    pub(crate) async fn settle(&self) -> Outcome {
        self.pass(ms(1)).await?;
        self.pass(ms(1)).await?;
        let_others_run().await;
        Ok(())
    }

    /// Waits until so many connections have missed a deadline.
    pub(crate) async fn late(&self, deadline: Deadline, count: usize) {
        let is_late = |end: &End| matches!(end, End::TimedOut(missed) if *missed == deadline);
        until(|| self.ends.count(is_late) >= count).await;
        assert_eq!(self.ends.count(is_late), count);
    }

    /// Waits until a handshake has failed, the first of this site, and returns the text of the error.
    pub(crate) async fn failed_handshake(&self) -> String {
        let failed = |end: &End| matches!(end, End::HandshakeFailed(_));
        until(|| self.ends.count(failed) == 1).await;
        let ends = self.ends.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().find(|end| failed(end)).map(End::to_string).unwrap_or_default()
    }

    /// How many connections have missed any.
    pub(crate) fn late_ones(&self) -> usize {
        self.ends.count(|end| matches!(end, End::TimedOut(_)))
    }

    /// How many have ended in another way than is expected.
    pub(crate) fn ended(&self, how: impl Fn(&End) -> bool) -> usize {
        self.ends.count(how)
    }
}

/// A listener on a reactor whose clock the test moves.
fn listener_by_hand() -> Outcome<(Reactor, TcpListener)> {
    let reactor = Reactor::builder().manual_clock().build()?;
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let listener = Registration::with(&reactor, listener, Interest::Readable)?;
    Ok((reactor, listener.into()))
}

fn copy(end: &End) -> End {
    match end {
        End::HandshakeFailed(error) => {
            End::HandshakeFailed(std::io::Error::new(error.kind(), error.to_string()))
        }
        End::TimedOut(deadline) => End::TimedOut(*deadline),
        End::Closed => End::Closed,
        End::Failed(error) => End::Failed(error.to_string().into()),
        _ => End::Finished,
    }
}

/// The pages.
async fn page(
    request: Request<Incoming>,
    backstage: Backstage,
) -> Result<Response<Body>, Infallible> {
    if request.method() == Method::CONNECT {
        return Ok(crate::upgrade::connect(request));
    }
    let path = request.uri().path().to_owned();
    let body = match path.split('/').nth(1) {
        Some("hello") => whole("hello"),
        Some("limited") => return Ok(limited(request, number(&path)).await),
        Some("rated") => return Ok(rated(request, backstage, number(&path)).await),
        Some("echo") => request.into_body().map_err(Into::into).boxed_unsync(),
        Some("pieces") => pieces(&pattern(number(&path))),
        Some("full") => whole(pattern(number(&path))),
        Some("much") => whole(vec![0x5a; number(&path)]),
        Some("endless") => endless(),
        Some("wait") => {
            backstage.waiting.fetch_add(1, Ordering::SeqCst);
            // Opened by being dropped.
            let _ = backstage.gate.await;
            whole("at last")
        }
        Some("early") => {
            let uploaded = backstage.uploaded;
            let mut body = request.into_body();
            // A thread, as a page knows of no executor.
            std::thread::spawn(move || {
                smol::block_on(async {
                    while let Some(Ok(frame)) = body.frame().await {
                        let count = frame.data_ref().map_or(0, Bytes::len);
                        uploaded.fetch_add(count, Ordering::SeqCst);
                    }
                });
            });
            let mut answer = Response::new(whole(Bytes::new()));
            *answer.status_mut() = StatusCode::ACCEPTED;
            return Ok(answer);
        }
        Some("panic") => panic!("a page that panics"),
        Some("tunnel") => return Ok(crate::upgrade::switch(request)),
        _ => {
            let mut missing = Response::new(whole("not here"));
            *missing.status_mut() = StatusCode::NOT_FOUND;
            return Ok(missing);
        }
    };
    Ok(Response::new(body))
}

/// Takes a body of at most `max` bytes, and answers with its length.
async fn limited(request: Request<Incoming>, max: usize) -> Response<Body> {
    let body = Limited::new(request.into_body(), max).collect().await;
    let (status, text) = match body {
        Ok(body) => (StatusCode::OK, body.to_bytes().len().to_string()),
        Err(error) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    };
    with_status(status, text)
}

/// Takes a body of which 1,000 bytes come in each second, and answers with its length. After `pause_at` bytes, or at the end, it
/// comes to the gate, and reads the rest when the gate is open.
async fn rated(
    request: Request<Incoming>,
    backstage: Backstage,
    pause_at: usize,
) -> Response<Body> {
    let second = Duration::from_secs(1);
    let mut body = LeastRate::with(&backstage.reactor, request.into_body(), 1000, second);
    let mut gate = Some(backstage.gate);
    let mut len = 0;
    loop {
        let frame = body.frame().await;
        if let Some(Err(error)) = frame {
            let is_late = deadline_in(&*error);
            let status =
                if is_late { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
            return with_status(status, error.to_string());
        }
        let count = frame.as_ref().map_or(0, |frame| {
            frame.as_ref().ok().and_then(|frame| frame.data_ref()).map_or(0, Bytes::len)
        });
        len += count;
        backstage.uploaded.fetch_add(count, Ordering::SeqCst);
        if (len >= pause_at || frame.is_none())
            && let Some(gate) = gate.take()
        {
            backstage.waiting.fetch_add(1, Ordering::SeqCst);
            let _ = gate.await;
        }
        if frame.is_none() {
            return with_status(StatusCode::OK, len.to_string());
        }
    }
}

fn with_status(status: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(whole(text));
    *answer.status_mut() = status;
    answer
}

fn number(path: &str) -> usize {
    path.rsplit('/').next().and_then(|number| number.parse().ok()).expect("a number in the path")
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(Into::into).boxed_unsync()
}

/// A body without a length, in pieces.
pub(crate) fn pieces(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes.chunks(10_007).map(Bytes::copy_from_slice).collect();
    let frames = stream::iter(pieces).map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(frames).boxed_unsync()
}

fn endless() -> Body {
    let piece = Bytes::from(vec![0x5a; 64 * KIB]);
    let frames = stream::repeat_with(move || Ok(Frame::data(piece.clone())));
    StreamBody::new(frames).boxed_unsync()
}

/// Bytes among which none is like its neighbours.
pub(crate) fn pattern(len: usize) -> Bytes {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// A body whose pieces come from elsewhere.
pub(crate) fn from_channel(pieces: futures::channel::mpsc::UnboundedReceiver<Bytes>) -> Body {
    let frames = pieces.map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(frames).boxed_unsync()
}
