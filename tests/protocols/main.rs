//! Protocols of others over our streams: TLS by rustls, WebSocket by tungstenite, HTTP by hyper and h2, each through the
//! io traits of futures or of tokio and nothing else. The deadline of a stream that they own, and their errors after it.
//! With the feature `dbus`, D-Bus by zbus, with descriptors.
#![cfg(not(netpoll_loom))]

mod chains;
#[cfg(feature = "dbus")]
mod dbus;
mod fixtures;
mod handles;
mod tls;
mod websocket;
