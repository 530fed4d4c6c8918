//! The main promises of the runtime, in seconds. The suite that shows all of them is `tests/quic` of the repository.

use std::error::Error;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netpoll_quinn::Runtime;
use quinn::rustls::{RootCertStore, pki_types::PrivatePkcs8KeyDer};
use quinn::{
    ClientConfig, ConnectionError, Endpoint, EndpointConfig, ServerConfig, TransportConfig,
};

#[test]
fn bytes_arrive_and_an_idle_connection_ends() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = own.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone())?;
        let idle = Duration::from_secs(1);
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(idle.try_into()?));
        let mut client_config = ClientConfig::with_root_certificates(Arc::new(roots))?;
        client_config.transport_config(Arc::new(transport));

        let runtime = Arc::new(Runtime::new(|task| smol::spawn(task).detach())?);
        let endpoint = |config| {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            Endpoint::new(EndpointConfig::default(), config, socket, runtime.clone())
        };
        let server = endpoint(Some(ServerConfig::with_single_cert(vec![certificate], key)?))?;
        let client = endpoint(None)?;
        let address = server.local_addr()?;
        let serving = smol::spawn(async move {
            let connection = server.accept().await.expect("the endpoint is open").await?;
            let mut stream = connection.open_uni().await?;
            stream.write_all(b"hello").await?;
            stream.finish()?;
            connection.closed().await;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        });

        let began = Instant::now();
        let connection = client.connect_with(client_config, address, "localhost")?.await?;
        let mut stream = connection.accept_uni().await?;
        assert_eq!(stream.read_to_end(5).await?, b"hello");
        // If the server's time ends first, its endpoint answers with a reset.
        let end = connection.closed().await;
        assert!(matches!(end, ConnectionError::TimedOut | ConnectionError::Reset), "{end}");
        assert!(began.elapsed() >= idle, "never early");
        serving.await.map_err(|error| error.to_string())?;
        Ok(())
    })
}
