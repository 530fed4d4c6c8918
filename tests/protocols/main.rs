//! Protocols of others over our streams: TLS by rustls, WebSocket by tungstenite, each through the
//! io traits of futures and nothing else.
#![cfg(not(netpoll_loom))]

mod tls;
mod websocket;
