//! The versions of HTTP.

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    #[cfg(feature = "http1")]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge.
    #[cfg(feature = "http2")]
    Http2,
}

/// With one version there is nothing to detect.
#[cfg(not(all(feature = "http1", feature = "http2")))]
impl Version {
    #[cfg(feature = "http1")]
    pub(super) const ONLY: Self = Self::Http1;
    #[cfg(feature = "http2")]
    pub(super) const ONLY: Self = Self::Http2;
}
