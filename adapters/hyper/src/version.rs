//! The versions of HTTP.

use std::io;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    #[cfg(feature = "http1")]
    Http1,
    /// HTTP/2: over TLS by ALPN, without TLS with prior knowledge.
    #[cfg(feature = "http2")]
    Http2,
}

impl Version {
    /// The version that TLS has negotiated by ALPN, for the handshakes of `Server::serve_with` and `Connector::tls`. `None`
    /// if TLS has negotiated no protocol: a server then detects the version from the first bytes, and a client takes HTTP/1.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported), if the protocol is neither `h2`, `http/1.1` nor `http/1.0`, or the feature of
    /// its version is not enabled.
    pub fn of_alpn(protocol: Option<&[u8]>) -> io::Result<Option<Self>> {
        match protocol {
            None => Ok(None),
            #[cfg(feature = "http1")]
            Some(b"http/1.1" | b"http/1.0") => Ok(Some(Self::Http1)),
            #[cfg(feature = "http2")]
            Some(b"h2") => Ok(Some(Self::Http2)),
            Some(other) => {
                let text = format!(
                    "ALPN chose {:?}, which is not served",
                    other.escape_ascii().to_string()
                );
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }
}

/// With one version there is nothing to detect.
#[cfg(all(feature = "server", not(all(feature = "http1", feature = "http2"))))]
impl Version {
    #[cfg(feature = "http1")]
    pub(crate) const ONLY: Self = Self::Http1;
    #[cfg(feature = "http2")]
    pub(crate) const ONLY: Self = Self::Http2;
}
