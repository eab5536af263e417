//! TLS connections: the handshake, and the encrypted transport for ureq.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::buffers::ZeroizingBuffers;
use super::connect_error::{is_permanent_tls, rejects_client};
use super::exchange::ExchangeGuard;
use super::read_ahead::ReadAhead;
use super::socket::{PlainTransport, unexpected_eof};

/// Maximum number of reads of what the peer has sent on an idle connection.
const MAX_PENDING_READS: u32 = 8;

/// Last connector of the chain: wraps connections to `https` URLs in TLS.
#[derive(Debug)]
pub(super) struct TlsConnector {
    pub(super) config: Arc<ClientConfig>,
}

impl<Tunnel: Transport> Connector<Either<Tunnel, PlainTransport>> for TlsConnector {
    type Out = Either<Either<Tunnel, PlainTransport>, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<Either<Tunnel, PlainTransport>>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let transport = chained.ok_or(ureq::Error::ConnectionFailed)?;
        if !details.needs_tls() {
            ExchangeGuard::connected();
            return Ok(Some(Either::A(transport)));
        }
        let mut wire = match transport {
            Either::A(tunnel) => Wire::Tunnel(Box::new(TransportAdapter::new(
                Box::new(tunnel),
                details.current_time.clone(),
            ))),
            Either::B(plain) => Wire::Socket(ReadAhead::new(plain.into_socket())),
        };
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']'))
            .map_err(|_| ureq::Error::BadUri(format!("{host} is not a valid host name")))?
            .to_owned();
        let mut connection =
            ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        ExchangeGuard::begin_handshake();
        complete_handshake(&mut connection, &mut wire)?;
        ExchangeGuard::connected();
        let stream = StreamOwned::new(connection, wire);
        Ok(Some(Either::B(TlsTransport::new(stream))))
    }
}

/// Exchanges messages until the handshake is complete for this side. With TLS 1.3 the last message is
/// not sent yet: it is sent together with the request, which saves a packet.
fn complete_handshake(connection: &mut ClientConnection, wire: &mut Wire) -> io::Result<()> {
    while connection.is_handshaking() {
        while connection.wants_write() {
            connection.write_tls(wire)?;
        }
        if connection.read_tls(wire)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = connection.process_new_packets() {
            // The alert contains the reason for the peer. The error to report is that of the handshake,
            // also if the alert cannot be sent.
            let _ = connection.write_tls(wire);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
    Ok(())
}

/// The connection below TLS.
enum Wire {
    Socket(ReadAhead),
    Tunnel(Box<TransportAdapter>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Socket(ahead) => ahead.read(buffer),
            Wire::Tunnel(tunnel) => tunnel.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Socket(ahead) => ahead.socket().write(buffer),
            Wire::Tunnel(tunnel) => tunnel.write(buffer),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Wire::Socket(ahead) => ahead.socket().write_vectored(pieces),
            Wire::Tunnel(tunnel) => tunnel.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Transport for HTTP over TLS.
pub(super) struct TlsTransport {
    stream: StreamOwned<ClientConnection, Wire>,
    /// Why the peer rejected the connection, until it is reported.
    rejection: Option<rustls::Error>,
    /// Whether the peer has sent any data of a response, after its handshake was complete.
    has_received: bool,
    buffers: ZeroizingBuffers,
}

impl TlsTransport {
    fn new(stream: StreamOwned<ClientConnection, Wire>) -> Self {
        TlsTransport {
            stream,
            rejection: None,
            has_received: false,
            buffers: ZeroizingBuffers::new(),
        }
    }

    /// Returns whether the peer has aborted its handshake, so that it has decrypted no byte that was sent.
    ///
    /// With TLS 1.3 it verifies the client's certificate after the client's handshake is complete
    /// (RFC 8446, section 4.4.2.4). Before it has, it reads no other data of the client. Of the alerts with
    /// which it can end, those are recognized with which a retry would fail too, so that a request of which
    /// bytes were sent is never retried.
    fn is_handshake_aborted(&mut self) -> bool {
        let connection = &mut self.stream.conn;
        !self.has_received
            && connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            // Fails again with the error of this connection; that of a read can be of the connection to a
            // proxy.
            && connection.process_new_packets().is_err_and(|error| rejects_client(&error))
    }

    /// Encrypts and sends the bytes that wait, with what is left of the handshake before them.
    fn send_pending(&mut self) -> io::Result<()> {
        let StreamOwned { conn, sock } = &mut self.stream;
        match self.buffers.take_pending() {
            [] => return Ok(()),
            pending => {
                ExchangeGuard::begin_to_send();
                conn.writer().write_all(pending)?;
            }
        }
        while conn.wants_write() {
            conn.write_tls(sock)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if let Some(rejection) = self.rejection.take() {
            return Err(io::Error::other(rejection).into());
        }
        if self.buffers.add_pending(amount) {
            self.send_pending()?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.send_pending()?;
        let room = self.buffers.input_append_buf();
        let received = ExchangeGuard::receive(room, |room| self.stream.read(room));
        let amount = received.map_err(|error| {
            if self.is_handshake_aborted() {
                ExchangeGuard::not_received();
            }
            unexpected_eof(error)
        })?;
        self.has_received |= amount > 0;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        for _ in 0..MAX_PENDING_READS {
            // False if TLS has decrypted more than was read, or has received the end of the connection.
            if !self.stream.conn.wants_read() {
                return false;
            }
            let is_quiet = match &mut self.stream.sock {
                Wire::Socket(ahead) => !ahead.has_unread() && ahead.socket().is_reusable(),
                Wire::Tunnel(tunnel) => tunnel.get_mut().is_open(),
            };
            if is_quiet {
                return true;
            }
            // Session tickets arrive after the handshake. This does not wait: the peer has sent
            // something, or closed the connection.
            let received = self.stream.conn.read_tls(&mut self.stream.sock);
            if !received.is_ok_and(|amount| amount > 0) {
                return false;
            }
            if let Err(error) = self.stream.conn.process_new_packets() {
                // With TLS 1.3 a server may reject the client's certificate after the handshake. It would
                // reject another connection too, so the request fails with this error.
                let is_permanent = is_permanent_tls(&error);
                self.rejection = is_permanent.then_some(error);
                return is_permanent;
            }
        }
        false
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection};

    use super::*;
    use crate::call::{CallContext, CallOptions};
    use crate::fork::ProcessOwned;
    use crate::transport::socket::Socket;
    use crate::transport::socket::tests::no_timeout;

    /// Settings of a server with a certificate of its own, and of a client that trusts it.
    fn settings(requires_client_certificate: bool) -> (ServerConfig, ClientConfig) {
        let identity = rcgen::generate_simple_self_signed([SERVER.to_owned()]).unwrap();
        let certificate = identity.cert.der();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap();
        let server = match requires_client_certificate {
            true => server.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots.clone().into(), provider.clone())
                    .build()
                    .unwrap(),
            ),
            false => server.with_no_client_auth(),
        };
        let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der()).into();
        let server = server
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (server, client)
    }

    const SERVER: &str = "a.example";

    /// Returns a client and its connection to a listener, which has not accepted it yet.
    fn client_of(config: ClientConfig, listener: &TcpListener) -> (ClientConnection, Wire) {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let name = ServerName::try_from(SERVER).unwrap();
        let client = ClientConnection::new(config.into(), name).unwrap();
        (
            client,
            Wire::Socket(ReadAhead::new(Socket::new(ProcessOwned::new(stream)))),
        )
    }

    #[test]
    fn end_of_the_handshake_is_sent_with_head_and_body_of_the_first_request() {
        let call = CallContext::start(&CallOptions::new(), Duration::from_secs(30));
        let _exchange = ExchangeGuard::enter(&call);
        let (server, client) = settings(false);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut wire) = client_of(client, &listener);
        let (mut peer, _) = listener.accept().unwrap();
        // Until it has sent its part of the handshake.
        let handshake = thread::spawn(move || {
            let mut server = ServerConnection::new(server.into()).unwrap();
            server.read_tls(&mut peer).unwrap();
            server.process_new_packets().unwrap();
            while server.wants_write() {
                server.write_tls(&mut peer).unwrap();
            }
            (server, peer)
        });
        complete_handshake(&mut client, &mut wire).unwrap();
        let (mut server, mut peer) = handshake.join().unwrap();

        let mut transport = TlsTransport::new(StreamOwned::new(client, wire));
        for part in [b"head", b"body"] {
            transport.buffers().output()[..part.len()].copy_from_slice(part);
            transport.transmit_output(part.len(), no_timeout()).unwrap();
        }
        peer.set_nonblocking(true).unwrap();
        let error = peer.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "nothing was sent");
        peer.set_nonblocking(false).unwrap();
        transport.send_pending().unwrap();

        assert!(server.is_handshaking());
        server.read_tls(&mut peer).unwrap();
        server.process_new_packets().unwrap();
        let mut received = [0; 100];
        let count = server.reader().read(&mut received).unwrap();
        assert_eq!(&received[..count], b"headbody");
        server.writer().write_all(b"response").unwrap();
        while server.wants_write() {
            server.write_tls(&mut peer).unwrap();
        }
        assert!(transport.await_input(no_timeout()).unwrap());
        assert_eq!(transport.buffers().input(), b"response");
    }

    #[test]
    fn rejection_after_the_handshake_is_the_error_of_the_request() {
        let call = CallContext::start(&CallOptions::new(), Duration::from_secs(30));
        let _exchange = ExchangeGuard::enter(&call);
        let (server, client) = settings(true);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut client, mut wire) = client_of(client, &listener);
        let rejected = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(server.into()).unwrap();
            connection.complete_io(&mut stream).unwrap_err();
        });
        client.complete_io(&mut wire).unwrap();
        rejected.join().unwrap();

        let mut transport = TlsTransport::new(StreamOwned::new(client, wire));
        assert!(transport.is_open());
        let error = transport.transmit_output(1, no_timeout()).unwrap_err();
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
    }

    #[test]
    fn request_is_not_sent_if_the_server_aborts_the_handshake_before_any_response() {
        for has_received in [false, true] {
            let call = CallContext::start(&CallOptions::new(), Duration::from_secs(30));
            let exchange = ExchangeGuard::enter(&call);
            let (server, client) = settings(true);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (mut client, mut wire) = client_of(client, &listener);
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut connection = ServerConnection::new(server.into()).unwrap();
                connection.complete_io(&mut stream).unwrap_err();
                // Until the client has closed the connection.
                let _ = stream.read_to_end(&mut Vec::new());
            });
            complete_handshake(&mut client, &mut wire).unwrap();
            let mut transport = TlsTransport::new(StreamOwned::new(client, wire));
            transport.has_received = has_received;
            transport.buffers().output()[..4].copy_from_slice(b"head");
            transport.transmit_output(4, no_timeout()).unwrap();
            let error = transport.await_input(no_timeout()).unwrap_err();
            assert!(error.to_string().contains("CertificateRequired"), "{error}");
            assert_eq!(exchange.sent(), has_received);
            drop(transport);
            server.join().unwrap();
        }
    }
}
