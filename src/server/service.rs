//! One request: from its head to a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use hyper::{Method, StatusCode};
use tokio::sync::{Semaphore, oneshot};

use super::connections::{Connection, Table};
use super::message::{BrokenOff, Reply, Rest, scrape_timeout};
use super::rights::{Right, Rights};
use super::routes::{Page, Route, Routes, route};
use super::{Handler, Limits, Request, Response};

/// Requests for cheap pages that are worked on at a time, so that no scrape holds them up.
const CHEAP_WORKERS: usize = 2;

/// Reloads that are waited for at a time; they are carried out one after another anyway.
const RELOAD_WORKERS: usize = 1;

/// What all connections share.
pub(super) struct Service {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) routes: Routes,
    pub(super) limits: Limits,
    pub(super) table: Arc<Table>,
    rights: Rights,
    workers: Arc<Semaphore>,
    cheap_workers: Arc<Semaphore>,
    reload_workers: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(handler: Arc<dyn Handler>, routes: Routes, limits: Limits) -> Self {
        Self {
            handler,
            routes,
            table: Arc::default(),
            rights: Rights::new(&limits),
            workers: Arc::new(Semaphore::new(limits.workers)),
            cheap_workers: Arc::new(Semaphore::new(CHEAP_WORKERS)),
            reload_workers: Arc::new(Semaphore::new(RELOAD_WORKERS)),
            limits,
        }
    }

    /// Threads that are needed to work on as many requests as are allowed at a time, while all pages that may be
    /// on their way are still being made.
    pub(super) fn threads(limits: &Limits) -> usize {
        limits.workers + limits.max_pages + CHEAP_WORKERS + RELOAD_WORKERS
    }

    /// Answers a request.
    pub(super) async fn respond(
        &self,
        connection: &Arc<Connection>,
        request: hyper::Request<Incoming>,
    ) -> hyper::Response<Chunks> {
        let arrived = Instant::now();
        let route = route(request.method().as_str(), request.uri().path(), &self.routes);
        let dear = matches!(route, Route::Page(page) if page.is_dear());
        connection.working(dear, arrived);
        let (response, page) = match route {
            Route::Page(page) => self.page(page, connection, request.headers(), arrived).await,
            Route::Healthy => (Response::text(200, "healthy\n"), None),
            Route::NotFound => (self.not_found(), None),
            Route::MapsNeedDebug => {
                (Response::text(404, "What the maps hold is served with the flag --debug only.\n"), None)
            }
            Route::LifecycleNeedsFlag => (
                Response::text(403, "Reloads can be asked for with the flag --web.enable-lifecycle only.\n"),
                None,
            ),
            Route::MethodNotAllowed(allowed) => {
                let text = format!("This page is there for {allowed}, nothing else.\n");
                (Response::text(405, text).header("allow", allowed), None)
            }
        };
        tracing::debug!(
            method = %Shown(request.method()),
            path = ?request.uri().path(),
            status = response.status,
            milliseconds = arrived.elapsed().as_millis(),
            "answered a request"
        );
        connection.answered(page, Instant::now());
        finish(response, connection)
    }

    /// Waits for the request's turn and lets the handler work.
    async fn page(
        &self,
        page: Page,
        connection: &Arc<Connection>,
        headers: &HeaderMap,
        arrived: Instant,
    ) -> (Response, Option<Right>) {
        let timeout =
            headers.get("x-prometheus-scrape-timeout-seconds").and_then(|value| value.to_str().ok());
        let request = Request {
            page,
            accept: joined(headers, &ACCEPT),
            accept_encoding: joined(headers, &ACCEPT_ENCODING),
            arrived,
            timeout: timeout.and_then(scrape_timeout),
            client: connection.client,
        };
        let until = request.deadline(self.limits.queue_timeout);
        let right = if page.is_dear() {
            let spare = |client, now| {
                self.table.spare_page(client, now);
            };
            let Some(right) = self.rights.take(connection.client, until, spare).await else {
                return (busy("Too many responses are being read by their clients.\n"), None);
            };
            Some(right)
        } else {
            None
        };
        let workers = match page {
            Page::Reload => &self.reload_workers,
            page if page.is_dear() => &self.workers,
            _ => &self.cheap_workers,
        };
        let turn = tokio::time::timeout_at(until.into(), workers.clone().acquire_owned()).await;
        let Ok(Ok(worker)) = turn else {
            return (busy("Others are being answered, and the time to wait is over.\n"), None);
        };
        let handler = self.handler.clone();
        let (answer, answered) = oneshot::channel();
        let work = tokio::task::spawn_blocking(move || handler.answer(&request, Reply { answer, worker }));
        if let Ok(response) = answered.await {
            return (response, right);
        }
        let error = work.await.err().map(|error| error.to_string());
        tracing::error!(page = ?page, error = error.unwrap_or_default(), "a page could not be made");
        (Response::text(500, "This page could not be made; the log says more.\n"), None)
    }

    fn not_found(&self) -> Response {
        let path = &self.routes.telemetry_path;
        Response::text(404, format!("Nothing is served here. The metrics are at {path}, an overview at /.\n"))
    }
}

fn busy(text: &str) -> Response {
    Response::text(503, text).header("retry-after", "1")
}

/// All values of a header, joined as HTTP allows.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Makes hyper's response; a status or a header that HTTP does not allow does no harm.
fn finish(response: Response, connection: &Arc<Connection>) -> hyper::Response<Chunks> {
    let chunks: Vec<Bytes> = response.chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
    let left = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let body =
        Chunks { chunks: chunks.into_iter(), left, rest: response.rest, connection: connection.clone() };
    let mut finished = hyper::Response::new(body);
    let status = StatusCode::from_u16(response.status).ok().filter(|status| !status.is_informational());
    *finished.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let encoding = response.content_encoding.map(|encoding| (CONTENT_ENCODING.as_str(), encoding.into()));
    let all =
        [(CONTENT_TYPE.as_str(), response.content_type)].into_iter().chain(encoding).chain(response.headers);
    for (name, value) in all {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => {
                finished.headers_mut().append(name, value);
            }
            _ => tracing::error!(name, value = &*value, "a header is not valid and was left out"),
        }
    }
    finished
}

/// A body that tells its connection how it comes along.
pub(super) struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    left: u64,
    rest: Option<Box<dyn Rest>>,
    connection: Arc<Connection>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(chunk) = self.chunks.next() {
            self.left -= chunk.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let polled = rest.poll_chunk(context);
        match &polled {
            Poll::Pending => self.connection.starves(Instant::now()),
            Poll::Ready(Some(Ok(_))) => self.connection.is_fed(Instant::now()),
            Poll::Ready(Some(Err(broken))) => self.connection.broke_off(broken.0),
            Poll::Ready(None) => self.rest = None,
        }
        polled.map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_none() { SizeHint::with_exact(self.left) } else { SizeHint::default() }
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        self.connection.body_ended();
    }
}

/// A method is up to the client: it is cut to what a log line can bear.
struct Shown<'a>(&'a Method);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:.16}", self.0.as_str())
    }
}
