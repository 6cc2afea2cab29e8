// A small HTTP/1.1 server on loopback that says what a test tells it to, and remembers what it was asked. It can also do
// what no framework lets one do: break off the connection instead of answering.
#[expect(
    clippy::allow_attributes,
    reason = "which parts are used depends on the test that includes this"
)]
#[allow(dead_code)]
mod mock {
    use std::{
        collections::HashMap,
        fmt::Write as _,
        io::{BufRead, BufReader, Read, Write},
        net::{SocketAddr, TcpListener, TcpStream},
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

    /// A request as it arrived.
    #[derive(Clone, Debug)]
    pub struct Request {
        pub method: String,
        pub target: String,
        pub headers: HashMap<String, String>,
        pub body: String,
    }

    impl Request {
        pub fn line(&self) -> String {
            format!("{} {}", self.method, self.target)
        }

        pub fn json(&self) -> serde_json::Value {
            serde_json::from_str(&self.body).unwrap_or_default()
        }
    }

    /// What the server does with a request.
    #[derive(Clone, Debug)]
    pub enum Reply {
        Answer {
            status: u16,
            headers: Vec<(String, String)>,
            body: String,
        },
        /// The connection is closed without a word.
        Hangup,
        /// No answer for so many milliseconds, then the connection is closed.
        Silence(u64),
    }

    impl Reply {
        #[expect(clippy::needless_pass_by_value, reason = "reads better with json!")]
        pub fn json(status: u16, body: serde_json::Value) -> Self {
            Self::text(status, body.to_string())
        }

        pub fn text(status: u16, body: impl Into<String>) -> Self {
            Self::Answer {
                status,
                headers: Vec::new(),
                body: body.into(),
            }
        }

        pub fn empty(status: u16) -> Self {
            Self::text(status, "")
        }

        pub fn header(mut self, name: &str, value: &str) -> Self {
            if let Self::Answer { headers, .. } = &mut self {
                headers.push((name.to_owned(), value.to_owned()));
            }
            self
        }
    }

    type Handler = dyn Fn(&Request, usize) -> Reply + Send + Sync;

    /// The server. It ends when it is dropped.
    pub struct Server {
        address: SocketAddr,
        requests: Arc<Mutex<Vec<Request>>>,
        over: Arc<AtomicBool>,
    }

    impl Server {
        /// Answers every request by a function of the request and of how many came before it. Token requests are answered by
        /// the server itself, and not counted, unless the function is to see them.
        pub fn start(handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
            Self::start_with(true, true, handler)
        }

        /// The same, with the token requests left to the function.
        pub fn start_raw(
            handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
        ) -> Self {
            Self::start_with(false, true, handler)
        }

        /// Remembers no request, so that it can be asked for ever.
        pub fn start_forgetful(
            handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
        ) -> Self {
            Self::start_with(true, false, handler)
        }

        /// Answers in this order, and the last answer for ever.
        pub fn script(replies: Vec<Reply>) -> Self {
            Self::start(move |_, count| replies[count.min(replies.len() - 1)].clone())
        }

        pub fn url(&self) -> String {
            format!("http://{}", self.address)
        }

        pub fn requests(&self) -> Vec<Request> {
            self.requests.lock().unwrap().clone()
        }

        pub fn lines(&self) -> Vec<String> {
            self.requests().iter().map(Request::line).collect()
        }

        fn start_with(
            tokens: bool,
            remembers: bool,
            handler: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
        ) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (requests, over) = (
                Arc::new(Mutex::new(Vec::new())),
                Arc::new(AtomicBool::new(false)),
            );
            let handler: Arc<Handler> = Arc::new(handler);
            let (seen, ended) = (Arc::clone(&requests), Arc::clone(&over));
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
                    thread::spawn(move || serve(stream, tokens, remembers, &*handler, &seen));
                }
            });
            Self {
                address,
                requests,
                over,
            }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.over.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(self.address)); // wakes the listener so that it sees the end
        }
    }

    fn serve(
        mut stream: TcpStream,
        tokens: bool,
        remembers: bool,
        handler: &Handler,
        seen: &Mutex<Vec<Request>>,
    ) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read(&mut reader) {
            let reply = if tokens && request.target.starts_with("/auth/oauth2/v2/token") {
                Reply::json(
                    200,
                    serde_json::json!({"access_token": "mock-token", "expires_in": 36000, "token_type": "bearer"}),
                )
            } else {
                let count = {
                    let mut seen = seen.lock().unwrap();
                    if remembers {
                        seen.push(request.clone());
                    }
                    seen.len().saturating_sub(1)
                };
                handler(&request, count)
            };
            match reply {
                Reply::Answer {
                    status,
                    headers,
                    body,
                } => {
                    let mut head = format!("HTTP/1.1 {status} -\r\n");
                    for (name, value) in headers {
                        let _ = write!(head, "{name}: {value}\r\n");
                    }
                    if status != 204 {
                        let _ = write!(head, "Content-Length: {}\r\n", body.len());
                    }
                    if stream
                        .write_all(format!("{head}\r\n{body}").as_bytes())
                        .is_err()
                    {
                        return;
                    }
                }
                Reply::Hangup => return,
                Reply::Silence(millis) => {
                    thread::sleep(std::time::Duration::from_millis(millis));
                    return;
                }
            }
        }
    }

    fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Request {
            method,
            target,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}
